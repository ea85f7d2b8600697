"""Cluster bootstrap: intervals from whole groups (advertisers, stories) drawn with replacement, because texts of one
group are not independent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % percentile bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


def resamples(groups: int, rounds: int, seed: int = 0) -> FloatArray:
    """[rounds, groups] how often each group was drawn. Equal arguments give equal draws: comparisons are paired."""
    drawn = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=rounds)
    return drawn.astype(np.float64)


def percentile_interval(value: float, drawn: FloatArray) -> Interval:
    """The value with the 2.5 % and 97.5 % percentiles of its resamples [rounds]; NaN where no resample has a value."""
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return UNKNOWN
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def bootstrap(measure: Callable[[FloatArray], float], group: IntArray, *, rounds: int = 200, seed: int = 0) -> Interval:
    """The interval of a measure of weights [N]. `measure` must treat a weight as a count. NaN without data."""
    if not len(group):
        return UNKNOWN
    numbers = np.unique(group, return_inverse=True)[1]
    drawn = [measure(weights[numbers]) for weights in resamples(int(numbers.max()) + 1, rounds, seed)]
    return percentile_interval(measure(np.ones(len(group))), np.array(drawn))
