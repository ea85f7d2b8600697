"""Policies beside each other: means and paired differences, with intervals from a cluster bootstrap by advertiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.bootstrap import Interval, percentile_interval, resamples
from trainer.evaluation.metrics import MEASURES, Measured

FloatArray = npt.NDArray[np.float64]
_RESAMPLES = 4000


@dataclass(frozen=True)
class PolicyComparison:
    """The measures of several policies on the same prompts; the first policy is what the others are compared with."""

    policies: tuple[str, ...]
    means: dict[str, tuple[Interval, ...]]  # by measure, in the policies' order
    differences: dict[str, tuple[Interval, ...]]  # policy minus the first; of the first itself 0
    advertisers: int
    samples: tuple[int, ...]


def compare(measured: Sequence[Measured]) -> PolicyComparison:
    """Percentile intervals of 4,000 resamples of advertisers, the same resamples for every policy: that is what pairs
    them.

    A mean is over samples, so an advertiser counts by its texts. ValueError when the policies wrote for different
    advertisers.
    """
    names = sorted(set(measured[0].advertisers))
    for other in measured[1:]:
        if sorted(set(other.advertisers)) != names:
            raise ValueError(
                f"{other.name} and {measured[0].name} wrote for different advertisers: sample them on the same prompts"
            )
    weights = np.vstack(
        [np.ones(len(names)), resamples(len(names), _RESAMPLES)]
    )  # the first row is the data themselves
    means: dict[str, tuple[Interval, ...]] = {}
    differences: dict[str, tuple[Interval, ...]] = {}
    for measure in MEASURES:
        if any(measure not in policy.values for policy in measured):
            continue
        rows = [_means(policy, measure, names, weights) for policy in measured]
        means[measure] = tuple(percentile_interval(float(row[0]), row[1:]) for row in rows)
        differences[measure] = tuple(
            percentile_interval(float(row[0] - rows[0][0]), row[1:] - rows[0][1:]) for row in rows
        )
    return PolicyComparison(
        tuple(policy.name for policy in measured),
        means,
        differences,
        len(names),
        tuple(len(policy.samples) for policy in measured),
    )


def verdict(difference: Interval) -> str:
    """What a paired difference says: up or down when its interval excludes zero, else not resolved."""
    return "up" if difference.low > 0 else "down" if difference.high < 0 else "not resolved"


def _means(measured: Measured, measure: str, names: Sequence[str], weights: npt.NDArray[np.float64]) -> FloatArray:
    """[1 + resamples] means of a measure over samples that have it."""
    values = measured.values[measure]
    has = ~np.isnan(values)
    number = np.searchsorted(names, measured.advertisers)[has]
    sums, counts = (
        np.bincount(number, weights=what, minlength=len(names)) for what in (values[has], np.ones(int(has.sum())))
    )
    total = weights @ counts
    return np.asarray(np.divide(weights @ sums, total, out=np.full(len(weights), np.nan), where=total > 0))
