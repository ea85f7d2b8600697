"""Signs of collapse and of reward hacking: KL, length, distinct texts, and the gap between two reward models."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from trainer.config import Limits


@dataclass(frozen=True)
class Vitals:
    """One step's readings."""

    kl: float  # to π_ref, nats per token
    length: float  # tokens per text
    distinct: float  # distinct texts per brief, as a share of the group size
    gap: float | None  # mean score by the training reward model less that by the held-out one; None without it


@dataclass
class Watch:
    """Holds the means of the latest `window` steps against the limits, length and gap relative to the first
    window's.
    """

    limits: Limits
    latest: deque[Vitals] = field(default_factory=deque)
    first_length: float | None = None
    first_gap: float | None = None

    def look(self, vitals: Vitals) -> str | None:
        """The broken limit, as one line with its value; None where none is broken or the window is not full yet."""
        self.latest.append(vitals)
        if len(self.latest) > self.limits.window:
            self.latest.popleft()
        if len(self.latest) < self.limits.window:
            return None
        kl, length, distinct = (
            fmean(getattr(one, name) for one in self.latest) for name in ("kl", "length", "distinct")
        )
        gaps = [one.gap for one in self.latest if one.gap is not None]
        gap = fmean(gaps) if gaps else 0.0
        if self.first_length is None or self.first_gap is None:
            self.first_length, self.first_gap = length, gap
        return self._broken(kl, length / max(self.first_length, 1e-9), distinct, gap - self.first_gap)

    def state_dict(self) -> dict[str, Any]:
        latest = [(one.kl, one.length, one.distinct, one.gap) for one in self.latest]
        return {"latest": latest, "first_length": self.first_length, "first_gap": self.first_gap}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.latest = deque(Vitals(*step) for step in state["latest"])
        self.first_length, self.first_gap = state["first_length"], state["first_gap"]

    def _broken(self, kl: float, length: float, distinct: float, gap: float) -> str | None:
        limits = self.limits
        if limits.kl is not None and kl > limits.kl:
            return f"KL to the starting policy is {kl:.3f} nats per token, above limits.kl {limits.kl}"
        if length < limits.shortest:
            return f"texts are {length:.2f} times as long as at the start, below limits.shortest {limits.shortest}"
        if limits.longest is not None and length > limits.longest:
            return f"texts are {length:.2f} times as long as at the start, above limits.longest {limits.longest}"
        if distinct < limits.distinct:
            return f"{distinct:.2f} of a brief's texts are distinct, below limits.distinct {limits.distinct}"
        if limits.gap is not None and gap > limits.gap:
            return (
                f"the training reward model is ahead of the held-out one by {gap:.3f} more than at the start, above "
                f"limits.gap {limits.gap}"
            )
        return None
