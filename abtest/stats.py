"""The statistics of a report, on sums. Lifts (`lift`, `sequential`) and planning (`planning`) have their own files,
handed on here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt

from scipy.special import chdtrc, ndtr

from abtest.lift import Evidence, Lift, evidence, ratio_lift
from abtest.planning import achieved_power, days_to_go, minimum_detectable_lift, required_units
from abtest.sequential import always_valid_lift
from abtest.sums import FunnelSums, UnitSums, funnel_sums

__all__ = [
    "Evidence",
    "FunnelSplit",
    "FunnelSums",
    "Lift",
    "NonInferiority",
    "SampleRatio",
    "UnitSums",
    "achieved_power",
    "always_valid_lift",
    "benjamini_hochberg",
    "days_to_go",
    "evidence",
    "funnel_split",
    "funnel_sums",
    "holm",
    "minimum_detectable_lift",
    "non_inferiority",
    "ratio_lift",
    "required_units",
    "sample_ratio",
]

SAMPLE_RATIO_ALARM = 0.001  # p: assignment is a hash, so a smaller p means lost units, not bad luck


@dataclass(frozen=True, slots=True)
class FunnelSplit:
    """Where a change came from: ln(1 + CTCVR lift) = ln(1 + CTR lift) + ln(1 + CVR lift)."""

    ctr: Lift
    cvr: Lift
    ctcvr: Lift
    # of the two log changes: Var ln CTCVR = Var ln CTR + Var ln CVR + 2 · covariance; None without conversions
    covariance: float | None


def funnel_split(treatment: FunnelSums, control: FunnelSums, *, confidence: float = 0.95) -> FunnelSplit:
    """The three lifts with intervals on the log scale, where they add, and the covariance of the two parts (arms are
    independent).
    """
    ctr, cvr, ctcvr = (
        ratio_lift(mine, theirs, confidence=confidence, method="log")
        for mine, theirs in (
            (treatment.ctr, control.ctr),
            (treatment.cvr, control.cvr),
            (treatment.ctcvr, control.ctcvr),
        )
    )
    c_t, c_c = treatment.log_covariance, control.log_covariance
    return FunnelSplit(ctr, cvr, ctcvr, None if c_t is None or c_c is None else c_t + c_c)


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether units fell into the arms as configured. On alarm no verdict may be shown."""

    p_value: float | None  # None with fewer than two arms of positive weight, or without units
    alarm: bool
    unexpected: tuple[int, ...] = ()  # arms of weight zero that have units all the same: an alarm of its own
    note: str = ""


def sample_ratio(counts: Sequence[int], weights: Sequence[float]) -> SampleRatio:
    """Pearson's χ² = Σ (O - E)²/E of the units per arm against the configured weights, alarm at p < 0.001    Fabijan
        et
        al., KDD 2019.

    Weights need not sum to one. An arm of weight zero expects nobody: it takes no part in χ² and alarms by itself when
    it has units.
    """
    if len(counts) != len(weights):
        raise ValueError(
            f"counts has {len(counts)} arms and weights has {len(weights)}: give one of each per arm, in one order"
        )
    for name, numbers in (("counts", counts), ("weights", weights)):
        if bad := [number for number in numbers if not 0 <= number < float("inf")]:
            raise ValueError(f"{name} holds {bad[0]}: each must be finite, 0 or more")
    unexpected = tuple(i for i, (count, weight) in enumerate(zip(counts, weights, strict=True)) if count and not weight)
    note = f"units in {len(unexpected)} arm(s) of weight zero" if unexpected else ""
    live = [(count, weight) for count, weight in zip(counts, weights, strict=True) if weight]
    units, weight_sum = sum(count for count, _ in live), sum(weight for _, weight in live)
    if len(live) < 2 or not units:
        why = "no units yet" if len(live) >= 2 else f"{len(live)} arm(s) of positive weight: there is no ratio to check"
        return SampleRatio(None, bool(unexpected), unexpected, note or why)
    chi_square = sum(
        (count - units * weight / weight_sum) ** 2 / (units * weight / weight_sum) for count, weight in live
    )
    p_value = float(chdtrc(len(live) - 1, chi_square))
    return SampleRatio(p_value, p_value < SAMPLE_RATIO_ALARM or bool(unexpected), unexpected, note)


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values in the order given: at most alpha below alpha is one false verdict among all arms
        Scand. J. Stat. 1979.

    p̃_(k) = max over j <= k of min(1, (m - j + 1) · p_(j))
    """
    ascending = _ascending(ps)
    steps = accumulate((min(1.0, (len(ps) - rank) * ps[i]) for rank, i in enumerate(ascending)), max)
    return _in_order(ascending, steps)


def benjamini_hochberg(ps: Sequence[float]) -> tuple[float, ...]:
    """Benjamini–Hochberg adjusted p-values in the order given: marks on breakdowns, at most alpha of them false on
        average    JRSS B 1995.

    p̃_(k) = min over j >= k of min(1, m/j · p_(j))
    """
    descending = _ascending(ps)[::-1]
    steps = accumulate((min(1.0, len(ps) / (len(ps) - rank) * ps[i]) for rank, i in enumerate(descending)), min)
    return _in_order(descending, steps)


def _ascending(ps: Sequence[float]) -> list[int]:
    if bad := [p for p in ps if not 0 <= p <= 1]:
        raise ValueError(f"ps holds {bad[0]}: each must be a p-value in [0, 1]; leave out comparisons without one")
    return sorted(range(len(ps)), key=ps.__getitem__)


def _in_order(order: Sequence[int], adjusted: accumulate[float]) -> tuple[float, ...]:
    return tuple(p for _, p in sorted(zip(order, adjusted, strict=True)))


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether a guardrail held: the treatment is not worse than the control by more than the margin."""

    passed: bool
    p_value: float | None  # one-sided, of being worse by the margin or more
    z: float | None
    lift: Lift
    note: str = ""


def non_inferiority(
    treatment: UnitSums, control: UnitSums, *, margin: float, lower_is_better: bool = False, alpha: float = 0.025
) -> NonInferiority:
    """Test that R_T is worse than R_C by less than a relative margin: z = (R_T - θ·R_C) / √(v_T + θ²·v_C), θ = 1 -
    margin.

    Where lower is better (latency), θ = 1 + margin and z has the other sign.

    Passed when the one-sided p is under alpha, which is when Fieller's (1 - 2·alpha) interval lies on the right side
    of the margin. Not passed is not "worse": it may only be unknown yet; the lift and its interval stand beside.
    """
    if not 0 < margin < 1:
        raise ValueError(f"margin {margin} must lie in (0, 1): 0.02 allows two percent worse")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha {alpha} must lie in (0, 0.5), such as 0.025")
    lift = ratio_lift(treatment, control, confidence=1 - 2 * alpha)
    v_t, v_c = treatment.ratio_variance, control.ratio_variance
    if lift.z is None or v_t is None or v_c is None:
        return NonInferiority(False, None, None, lift, lift.note)
    limit = 1 + margin if lower_is_better else 1 - margin
    distance = treatment.sum_y / treatment.sum_x - limit * control.sum_y / control.sum_x
    z = (-distance if lower_is_better else distance) / sqrt(v_t + limit**2 * v_c)
    p_value = float(ndtr(-z))
    return NonInferiority(p_value < alpha, p_value, z, lift)
