"""RELATE eq. 1: multipliers that rise while quality or diversity is below its threshold, and the choice of the
best checkpoint that satisfies both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from trainer.config import DualSettings

HIGHEST = 10.0  # upper bound of a multiplier
_NOISE = 0.02  # shares: about the standard error of a mean over 400 texts


@dataclass
class Duals:
    """μ ← clip(μ + η(τ − EMA(batch mean)), 0, 10) for quality (raw compliance) and diversity. Both start at 1, so
    that λ is as configured.
    """

    settings: DualSettings
    quality: float = 1.0  # μ_q, multiplies λ1: risk and correctness
    diversity: float = 1.0  # μ_d, multiplies λ2
    mean_quality: float | None = None  # EMA
    mean_diversity: float | None = None

    def update(self, quality: float, diversity: float) -> None:
        """Update both multipliers from one batch's means, in [0, 1]."""
        self.mean_quality = self._averaged(self.mean_quality, quality)
        self.mean_diversity = self._averaged(self.mean_diversity, diversity)
        self.quality = self._moved(self.quality, self.settings.quality, self.mean_quality)
        self.diversity = self._moved(self.diversity, self.settings.diversity, self.mean_diversity)

    def multipliers(self) -> dict[str, float]:
        """The multiplier of each term's penalty."""
        return {"risk": self.quality, "correctness": self.quality, "diversity": self.diversity}

    def state_dict(self) -> dict[str, float | None]:
        state = asdict(self)
        del state["settings"]
        return state

    def load_state_dict(self, state: dict[str, float | None]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def _averaged(self, mean: float | None, value: float) -> float:
        return value if mean is None else self.settings.memory * mean + (1 - self.settings.memory) * value

    def _moved(self, multiplier: float, threshold: float, mean: float) -> float:
        return min(max(multiplier + self.settings.rate * (threshold - mean), 0.0), HIGHEST)


@dataclass(frozen=True)
class Candidate:
    """A checkpoint, with the means of the steps before it: raw samples of training prompts, scored by the training
    reward model.
    """

    step: int
    ctcvr: float  # the conversion reward; the sentence reward where the run has none
    quality: float  # raw compliance
    diversity: float | None  # None where the run does not compute it: it then constrains nothing

    @classmethod
    def of(cls, step: int, curve: Mapping[str, Any]) -> Candidate:
        """One step's means, from its line of curves.jsonl."""
        rewards = curve["rewards"]
        return cls(step, rewards.get("ctcvr", curve["reward"]), curve["compliance"], rewards.get("diversity"))


def mean_of(step: int, steps: Sequence[Candidate]) -> Candidate:
    """The checkpoint after these steps."""
    diversities = [each.diversity for each in steps if each.diversity is not None]
    return Candidate(
        step,
        fmean(each.ctcvr for each in steps),
        fmean(each.quality for each in steps),
        fmean(diversities) if diversities else None,
    )


def choose(candidates: Sequence[Candidate], settings: DualSettings) -> Candidate:
    """max ctcvr s.t. quality ≥ τ_q, diversity ≥ τ_d     (RELATE eq. 1). Where none satisfies both, the best ctcvr among
    those whose total shortfall is at most _NOISE above the smallest: less is noise of a few steps' means.

    The held-out reward model is not read. ValueError without a candidate.
    """
    if not candidates:
        raise ValueError("no checkpoint to choose from: the run stopped before its first, lower checkpoint_every")

    def lacks(candidate: Candidate) -> float:
        diversity = settings.diversity if candidate.diversity is None else candidate.diversity
        return max(settings.quality - candidate.quality, 0.0) + max(settings.diversity - diversity, 0.0)

    least = min(map(lacks, candidates))
    eligible = [candidate for candidate in candidates if lacks(candidate) <= least + (_NOISE if least > 0 else 0.0)]
    return max(eligible, key=lambda candidate: (candidate.ctcvr, candidate.step))
