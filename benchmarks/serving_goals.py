"""What the serving benchmark must reach."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]


@dataclass(frozen=True)
class Goal:
    what: str
    figure: float
    rule: str  # >=, <= or =
    bound: float

    @property
    def met(self) -> bool:
        compare = {">=": operator.ge, "<=": operator.le, "=": operator.eq}[self.rule]
        return bool(compare(self.figure, self.bound))


def goals(figures: Figures) -> Iterator[Goal]:
    """What the sections that were run must show."""
    if found := figures.get("hits"):
        for n in (1, 4):
            yield Goal(f"pool hit / bare route, n = {n}", found[f"n{n}"]["ratio_median"], ">=", 0.40)
        yield Goal("serving rows written / texts served", found["rows"] / found["texts"], "=", 1.0)
    if found := figures.get("misses"):
        yield Goal("miss path / raw vLLM, completions", found["ratio_median"], ">=", 0.95)
    for name, found in figures.get("outages", {}).items():
        yield Goal(f"vLLM {name}: answers in time", found["in_time_share"], ">=", 0.999)
        yield Goal(f"vLLM {name}: of them with a text", found["text_share"], ">=", 0.99)
    for name, found in figures.get("flights", {}).items():
        yield Goal(f"one key, {name.replace('_', ' ')}: upstream calls", found["upstream_calls"], "=", 1)
        yield Goal(
            f"one key, {name.replace('_', ' ')}: share answered with a text",
            found["with_text"] / found["scheduled"],
            "=",
            1.0,
        )
