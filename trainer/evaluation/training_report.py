"""What happened in a GRPO run, as a page: Figure 3's curves, the vital signs, and sampled texts with the tokens that
were charged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from trainer.evaluation.curves import figure_3, lines, read_lines
from trainer.page import Html, heading, paragraph, plot, table, write_page

_REWARDS = ("length", "format", "relevance", "correctness", "risk", "truth", "fluency", "diversity", "ctcvr")
_VITALS = {
    "kl": "KL to the start, nats per token",
    "entropy": "entropy, nats per token",
    "clip_share": "clipped tokens",
    "zero_signal_share": "groups without any signal",
    "length": "tokens per text",
    "distinct": "distinct texts a group",
    "finished": "finished texts",
    "compliance": "raw compliance",
    "gap": "training minus held-out reward model",
    "judge_gap": "judge minus second judge",
    "second_judge.truth": "truth, second judge",
    "second_judge.fluency": "fluency, second judge",
    "grad_norm": "gradient norm",
    "multipliers.quality": "multiplier of quality",
    "multipliers.diversity": "multiplier of diversity",
}
_SHOWN = 6  # texts of each shown step
_DEAREST = 2.0  # a charge that is shaded fully


def write_training_report(run: Path, path: Path) -> Path:
    """Read a run folder and write its page; ValueError where the folder holds no run."""
    curves, samples = read_lines(run / "curves.jsonl"), read_lines(run / "samples.jsonl")
    last = curves[-1]
    seconds = sum(sum(curve["seconds"].values()) for curve in curves)
    about = (
        f"{len(curves)} steps, {seconds / 60:.0f} minutes. Last step: {last['compliance']:.1%} raw compliance, "
        f"KL {last['kl']:.3f}."
    )
    rewards = {f"rewards.{name}": name for name in _REWARDS}
    spreads = {f"spread.{name}": f"{name}, within-group std" for name in _REWARDS}
    return write_page(
        path,
        f"GRPO run {run.name}",
        [
            paragraph(about + _ending(run)),
            heading("Rewards (Figure 3)"),
            plot(figure_3({"this run": [curves]})),
            heading("Each reward on its own"),
            plot(lines(curves, rewards, columns=4)),
            heading("What steers: weighted terms, standard deviation inside a group"),
            plot(lines(curves, spreads, columns=4)),
            heading("Vital signs"),
            plot(lines(curves, _VITALS)),
            heading("Sampled texts"),
            paragraph("Shaded tokens were charged: the darker, the larger the charge. Steps: first, middle and last."),
            *(_texts(step, samples) for step in _shown_steps(samples)),
        ],
    )


def shaded(tokens: Sequence[str], charges: Sequence[float]) -> Html:
    """The sampled tokens; a charged one has a red background, as deep as its charge. charges ≤ 0, one per token."""
    return Html("".join(_token(token, charge) for token, charge in zip(tokens, charges, strict=True)))


def _token(token: str, charge: float) -> str:
    if charge >= 0:
        return escape(token)
    depth = min(1.0, -charge / _DEAREST)
    return (
        f'<span style="background:rgba(214,39,40,{0.15 + 0.55 * depth:.2f})" title="{charge:g}">{escape(token)}</span>'
    )


def _shown_steps(samples: Sequence[Mapping[str, Any]]) -> list[int]:
    steps = sorted({sample["step"] for sample in samples})
    return sorted({steps[0], steps[len(steps) // 2], steps[-1]})


def _texts(step: int, samples: Sequence[Mapping[str, Any]]) -> Html:
    shown = [sample for sample in samples if sample["step"] == step][:_SHOWN]
    rows = [
        [
            Html(f"<b>{escape(sample['query'])}</b>\n{escape(sample['advertiser'])}"),
            shaded(sample["tokens"], sample["charges"]),
            f"{sample['advantage']:+.2f}",
            "  ".join(f"{name} {score:.2f}" for name, score in sample["scores"].items()),
            ", ".join(sample["findings"]),
        ]
        for sample in shown
    ]
    return Html(
        heading(f"Step {step}") + table(["query", "text", "advantage", "scores", "findings"], rows, kind="text")
    )


def _ending(run: Path) -> str:
    """How the run ended, as a sentence."""
    file = run / "outcome.json"
    if not file.is_file():
        return " The run has not ended."
    outcome = json.loads(file.read_text(encoding="utf-8"))
    stopped = f" It was stopped: {outcome['stopped']}." if outcome["stopped"] else ""
    return f"{stopped} The policy is that of step {outcome['chosen']}."
