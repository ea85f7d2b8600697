"""The judge: is a text true to its brief, and is it well written? Rules cannot decide that.

One Protocol, so that the service, a reward and an evaluation ask alike. `app.policies.judges` makes the judge that the
settings name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from adtext.brief import AdBrief, AdText

Pair = tuple[AdBrief, AdText]
Outcome = Literal["serve", "review", "refuse"]


class JudgeUnavailable(RuntimeError):
    """The judge could not answer. The texts wait for a person."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says of one text."""

    true: float  # P(everything it says is supported by the brief)
    well_written: float  # P(grammatical, clear, complete, spelt right), given that it is true

    @property
    def publishable(self) -> float:
        """P(true and well written): the one number that thresholds are compared with."""
        return self.true * self.well_written


@dataclass(frozen=True, slots=True)
class Thresholds:
    """At `serve` and above a text is served; from `review` on it waits for a person; below it is not kept."""

    serve: float
    review: float

    def __post_init__(self) -> None:
        if not 0 <= self.review <= self.serve <= 1:
            raise ValueError(
                f"thresholds review {self.review} and serve {self.serve} must be in order: 0 ≤ review ≤ serve ≤ 1"
            )

    def outcome(self, judgement: Judgement) -> Outcome:
        if judgement.publishable >= self.serve:
            return "serve"
        return "review" if judgement.publishable >= self.review else "refuse"


class Judge(Protocol):
    """Whatever judges texts."""

    @property
    def version(self) -> str:
        """Its immutable name, kept with every text that it judged."""
        ...

    @property
    def thresholds(self) -> Thresholds: ...

    def covers(self, language: str) -> bool:
        """True where it can judge texts in this language: `en`, `zh` or `ja`."""
        ...

    async def judge(self, pairs: Sequence[Pair]) -> Sequence[Judgement]:
        """One judgement for each pair, in order. Raises JudgeUnavailable. Never blocks the event loop."""
        ...

    async def close(self) -> None: ...
