"""A figure beside what it must reach, as a benchmark prints it and keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Goal:
    """value [low, high] must be at least (at most, above) `bound`; with `sure`, the interval's worse end must be."""

    figure: str
    value: float
    rule: Literal["at least", "at most", "above"]
    bound: float
    low: float | None = None
    high: float | None = None
    sure: bool = False

    @property
    def met(self) -> bool:
        below = self.rule == "at most"
        worst = self.high if below else self.low
        judged = worst if self.sure and worst is not None else self.value
        if self.rule == "above":
            return bool(judged > self.bound)
        return bool(judged <= self.bound if below else judged >= self.bound)


def show(console: Console, title: str, goals: Sequence[Goal]) -> None:
    table = Table("figure", "measured", "goal", "", title=title, box=None)
    for goal in goals:
        interval = "" if goal.low is None else f" [{goal.low:.4g}, {goal.high:.4g}]"
        rule = f"{goal.rule} {goal.bound:g}" + (", surely" if goal.sure else "")
        table.add_row(goal.figure, f"{goal.value:.4g}{interval}", rule, "met" if goal.met else "[bold]short[/bold]")
    console.print(table)


def as_records(goals: Sequence[Goal]) -> list[dict[str, Any]]:
    return [asdict(goal) | {"met": goal.met} for goal in goals]
