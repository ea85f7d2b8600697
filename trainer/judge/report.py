"""The evaluation of a judge as tables and as a page: what passes, the curve, corruptions by kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
from rich.table import Table

from trainer.bootstrap import Interval
from trainer.judge.corruptions import UNREADABLE, UNTRUE
from trainer.judge.evaluate import Found
from trainer.judge.labels import VERDICTS
from trainer.page import heading, paragraph, plot, table, write_page

_COLOURS = {"good": "#1a7f37", "false": "#cf222e", "mangled": "#8250df", "clumsy": "#9a6700"}


def summary(found: Mapping[str, Found]) -> list[Table]:
    """What a terminal shows: what passes the serving threshold, and how well the scores order."""
    tables = []
    for title, rows in (("passes the serving threshold", _passed(found)), ("measures", _measures(found))):
        shown = Table(title, *found, box=None)
        for row in rows:
            shown.add_row(*row)
        tables.append(shown)
    return tables


def write_report(found: Mapping[str, Found], path: Path) -> Path:
    """Write one HTML file that needs no network."""
    first = next(iter(found.values()))
    labelled = sum(first.texts.get(verdict, 0) for verdict in VERDICTS)
    limits = first.judge.thresholds
    return write_page(
        path,
        first.judge.version,
        [
            paragraph(
                f"{labelled} labelled texts of policies, and references with their corruptions, of advertisers that no "
                f"judge learned from. Served from {limits.serve:.3f}, reviewed from {limits.review:.3f}. Shares with "
                "95 % intervals, bootstrapped by advertiser."
            ),
            heading("What passes the serving threshold"),
            table(("texts", *found), _passed(found)),
            heading("Measures"),
            table(("measure", *found), _measures(found)),
            heading("Share that passes, by threshold"),
            *(plot(_curve(name, judge)) for name, judge in found.items()),
        ],
    )


def _passed(found: Mapping[str, Found]) -> list[tuple[str, ...]]:
    kinds = next(iter(found.values())).texts
    return [
        (f"{_name(kind)} (n = {count})", *(_percent(judge.passed[kind]) for judge in found.values()))
        for kind, count in kinds.items()
    ]


def _name(kind: str) -> str:
    spelled = kind.replace("_", " ")
    if kind in UNTRUE:
        return f"corrupted, untrue: {spelled}"
    return f"corrupted, badly written: {spelled}" if kind in UNREADABLE else spelled


def _measures(found: Mapping[str, Found]) -> list[tuple[str, ...]]:
    judges = list(found.values())
    return [
        ("good among the labelled texts that pass", *(_percent(judge.precision) for judge in judges)),
        *((f"AUC, {name}", *(_interval(judge.auc[name]) for judge in judges)) for name in judges[0].auc),
        ("calibration error of P(publishable)", *(f"{judge.calibration_error:.3f}" for judge in judges)),
        ("CPU per text, ms", *(f"{judge.ms_per_text:.1f}" for judge in judges)),
    ]


def _percent(share: Interval) -> str:
    return f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"


def _interval(value: Interval) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _curve(name: str, found: Found) -> go.Figure:
    axis = found.curve["threshold"]
    figure = go.Figure(
        [
            go.Scatter(x=axis, y=found.curve[verdict], name=verdict, line={"color": _COLOURS[verdict]})
            for verdict in VERDICTS
        ]
    )
    for at, label in ((found.judge.thresholds.serve, "serve"), (found.judge.thresholds.review, "review")):
        figure.add_vline(x=at, line_dash="dot", annotation_text=label)
    figure.update_layout(
        title=name, height=380, xaxis_title="threshold on P(true) · P(well written)", yaxis_title="share that passes",
        yaxis_tickformat=".0%",
    )  # fmt: skip
    return figure
