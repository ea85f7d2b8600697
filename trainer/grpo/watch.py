"""Signs of collapse and of reward hacking: KL, length, distinct texts, truth, fluency, and the gaps between the
models that training reads and those that it does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import astuple, dataclass, field, fields
from statistics import fmean
from typing import Any

from trainer.config import Limits


@dataclass(frozen=True)
class Vitals:
    """One step's readings, or the means of a window. None where the run has no such reading."""

    kl: float  # to π_ref, nats per token
    length: float  # tokens per text
    distinct: float  # distinct texts per brief, as a share of the group size
    gap: float | None  # mean score by the training reward model less that by the held-out one
    judge_gap: float | None = None  # mean of truth and fluency by the judge less that by the second judge
    truth: float | None = None  # by the judge
    fluency: float | None = None


@dataclass
class Watch:
    """Compares the means of the latest `window` steps with the limits; length, gaps, truth and fluency relative to the
    first window's.
    """

    limits: Limits
    latest: deque[Vitals] = field(default_factory=deque)
    first: Vitals | None = None

    def look(self, vitals: Vitals) -> str | None:
        """The broken limit, as one line with its value; None where none is broken or the window is not full yet."""
        self.latest.append(vitals)
        if len(self.latest) > self.limits.window:
            self.latest.popleft()
        if len(self.latest) < self.limits.window:
            return None
        now = _mean(self.latest)
        if self.first is None:
            self.first = now
        return self._broken(now, self.first)

    def state_dict(self) -> dict[str, Any]:
        first = None if self.first is None else astuple(self.first)
        return {"latest": [astuple(vitals) for vitals in self.latest], "first": first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.latest = deque(Vitals(*step) for step in state["latest"])
        self.first = None if state["first"] is None else Vitals(*state["first"])

    def _broken(self, now: Vitals, first: Vitals) -> str | None:
        limits, length = self.limits, now.length / max(first.length, 1e-9)
        if limits.kl is not None and now.kl > limits.kl:
            return f"KL to the starting policy is {now.kl:.3f} nats per token, above limits.kl {limits.kl}"
        if length < limits.shortest:
            return f"texts are {length:.2f} times as long as at the start, below limits.shortest {limits.shortest}"
        if limits.longest is not None and length > limits.longest:
            return f"texts are {length:.2f} times as long as at the start, above limits.longest {limits.longest}"
        if now.distinct < limits.distinct:
            return f"{now.distinct:.2f} of a brief's texts are distinct, below limits.distinct {limits.distinct}"
        return self._hacked(now, first) or self._worse(now, first)

    def _hacked(self, now: Vitals, first: Vitals) -> str | None:
        models = "the training reward model is ahead of the held-out one"
        for name, who in (("gap", models), ("judge_gap", "the judge is ahead of the second judge")):
            rise, limit = _rise(name, now, first), getattr(self.limits, name)
            if limit is not None and rise > limit:
                return f"{who} by {rise:.3f} more than at the start, above limits.{name} {limit}"
        return None

    def _worse(self, now: Vitals, first: Vitals) -> str | None:
        for name in ("truth", "fluency"):
            fall, limit = -_rise(name, now, first), getattr(self.limits, name)
            if limit is not None and fall > limit:
                return f"{name} is {fall:.3f} lower than at the start, more than limits.{name} {limit}"
        return None


def _mean(window: Collection[Vitals]) -> Vitals:
    """The mean of each reading over the steps that have it."""
    known = {
        part.name: [value for vitals in window if (value := getattr(vitals, part.name)) is not None]
        for part in fields(Vitals)
    }
    return Vitals(**{name: fmean(values) if values else None for name, values in known.items()})  # type: ignore[arg-type]


def _rise(name: str, now: Vitals, first: Vitals) -> float:
    """How much a reading rose over the first window's; 0 where one of them is not known."""
    after, before = getattr(now, name), getattr(first, name)
    return 0.0 if after is None or before is None else after - before
