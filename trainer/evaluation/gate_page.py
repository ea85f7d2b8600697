"""The gate's report as a page: the decision, every line with its intervals, texts side by side."""

from __future__ import annotations

from pathlib import Path

from trainer.evaluation.metrics import MEASURES
from trainer.evaluation.report import value_text
from trainer.gate_report import Estimate, GateReport, Line
from trainer.page import Html, heading, paragraph, table, write_page

_WORDS = {"pass": "pass", "fail": "fail", "undecided": "not decided"}
_TONES = {"pass": "up", "fail": "down", "undecided": ""}


def write_gate_page(path: Path, report: GateReport) -> Path:
    """One page without a network."""
    prompts = report.prompts
    parts = [
        paragraph(report.sentence),
        paragraph(
            f"Split {prompts.split}, {prompts.language}: {prompts.prompts} prompts of {prompts.advertisers} "
            f"advertisers, digest {prompts.digest}. Raw samples at temperature 1, before any filter. Brackets are 95 % "
            "intervals of a bootstrap over advertisers; differences are paired. A line passes by the lower end of its "
            "interval."
        ),
        heading("Lines"),
        table(
            ["measure", "decision", report.champion.name, report.challenger.name, "difference", "reason"],
            [_row(line) for line in report.lines],
        ),
        heading("Texts"),
        table(
            ["query", report.champion.name, report.challenger.name],
            [[f"{text.query}\n{text.advertiser}", text.champion, text.challenger] for text in report.texts],
            kind="text",
        ),
        heading("What was compared"),
        table(["policy", "part", "digest"], _digests(report)),
    ]
    return write_page(path, f"Gate: {'pass' if report.passed else 'fail'}", parts)


def _row(line: Line) -> list[str | Html]:
    words = _WORDS[line.status] + ("" if line.required or line.status != "undecided" else ", not required")
    return [
        line.label,
        Html(f'<b class="{_TONES[line.status]}">{words}</b>'),
        *(_said(line, each) for each in (line.champion, line.challenger)),
        _said(line, line.difference, sign=True),
        line.reason,
    ]


def _said(line: Line, estimate: Estimate | None, *, sign: bool = False) -> str:
    if estimate is None:
        return "–"
    value, low, high = (
        value_text(MEASURES[line.measure], each, sign) for each in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"


def _digests(report: GateReport) -> list[list[str]]:
    sides = [("champion", report.champion.digests), ("challenger", report.challenger.digests)]
    sides.append(("reward models", report.reward_models))
    return [[name, part, digest] for name, digests in sides for part, digest in sorted(digests.items())]
