"""What a GRPO run shows while it trains: figure 3's curves, and sampled texts with the tokens that were charged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.pages.figures import Figure, over_steps
from trainer.durable import whole_lines

_TEXTS = 6
_DEEP = -1.0  # a charge below it is shaded more


@dataclass(frozen=True, slots=True)
class Panel:
    """One curve with its numbers."""

    name: str
    figure: Figure
    points: Sequence[tuple[int, float | None]]


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    charge: float  # r_t ≤ 0 (eq. 5)

    @property
    def shade(self) -> str:
        return "" if self.charge >= 0 else "charged more" if self.charge < _DEEP else "charged"


@dataclass(frozen=True, slots=True)
class SampledText:
    query: str
    advertiser: str
    tokens: Sequence[Token]
    advantage: float
    findings: Sequence[str]


def panels(run: Path) -> list[Panel]:
    """The curves of a run folder, as far as it has trained; none before the first step."""
    from trainer.evaluation.curves import QUALITIES, quality  # Plotly's Python side, which no other page needs

    curves = [json.loads(line) for line in whole_lines(run / "curves.jsonl")]
    steps = [int(curve["step"]) + 1 for curve in curves]
    named: dict[str, list[float | None]] = {
        label: [quality(curve, name) for curve in curves] for name, label in QUALITIES.items()
    }
    named |= {"KL to the start, nats per token": [curve.get("kl") for curve in curves]}
    named |= {"training minus held-out reward model": [curve.get("gap") for curve in curves]}
    return [
        Panel(name, over_steps(steps, values), list(zip(steps, values, strict=True)))
        for name, values in named.items()
        if any(value is not None for value in values)
    ]


def latest_texts(run: Path) -> tuple[int, list[SampledText]]:
    """The last step that has samples, and some of its texts."""
    lines = whole_lines(run / "samples.jsonl")
    if not lines:
        return 0, []
    step = json.loads(lines[-1])["step"]
    found: list[dict[str, Any]] = [json.loads(line) for line in lines[-64:]]
    chosen = [sample for sample in found if sample["step"] == step][:_TEXTS]
    return step + 1, [
        SampledText(
            sample["query"],
            sample["advertiser"],
            [Token(text, charge) for text, charge in zip(sample["tokens"], sample["charges"], strict=True)],
            sample["advantage"],
            sample["findings"],
        )
        for sample in chosen
    ]
