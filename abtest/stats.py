"""The statistics of a report, computed from sums. This module re-exports lifts, sequential tests, the sample-ratio
check and planning from their own modules. It defines the corrections for multiple comparisons and the guardrail test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt

from scipy.special import ndtr

from abtest.lift import Evidence, Lift, evidence, ratio_lift
from abtest.planning import achieved_power, days_to_go, minimum_detectable_lift, required_units
from abtest.ratio_check import SampleRatio, sample_ratio, sequential_sample_ratio
from abtest.sequential import always_valid_lift, always_valid_share
from abtest.sums import FunnelSums, UnitSums, funnel_sums

__all__ = [
    "Evidence",
    "FunnelSums",
    "Lift",
    "NonInferiority",
    "SampleRatio",
    "UnitSums",
    "achieved_power",
    "always_valid_lift",
    "always_valid_share",
    "benjamini_hochberg",
    "days_to_go",
    "evidence",
    "funnel_sums",
    "holm",
    "minimum_detectable_lift",
    "non_inferiority",
    "ratio_lift",
    "required_units",
    "sample_ratio",
    "sequential_sample_ratio",
]


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values in the order given: rejecting at adjusted p < alpha keeps the family-wise error rate at
    most alpha. Scand. J. Stat. 1979.

    p̃_(k) = max over j <= k of min(1, (m - j + 1) · p_(j))
    """
    _check_p_values(ps)
    ascending = sorted(range(len(ps)), key=ps.__getitem__)
    steps = accumulate((min(1.0, (len(ps) - rank) * ps[i]) for rank, i in enumerate(ascending)), max)
    return tuple(p for _, p in sorted(zip(ascending, steps, strict=True)))


def benjamini_hochberg(ps: Sequence[float]) -> tuple[float, ...]:
    """Benjamini–Hochberg adjusted p-values in the order given: rejecting at adjusted p < alpha keeps the expected share
    of false rejections at most alpha. JRSS B 1995.
    """
    # imported here: scipy.stats would double the service's start-up time
    from scipy.stats import false_discovery_control

    _check_p_values(ps)
    return tuple(false_discovery_control(ps).tolist()) if ps else ()


def _check_p_values(ps: Sequence[float]) -> None:
    if invalid := [p for p in ps if not 0 <= p <= 1]:
        raise ValueError(f"ps holds {invalid[0]}: each must be a p-value in [0, 1]; leave out comparisons without one")


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether a guardrail held: treatment is not worse than control by more than the margin."""

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

    Passed when the one-sided p is under alpha. This is the case exactly when Fieller's (1 - 2·alpha) interval lies on
    the right side of the margin. Not passed does not mean worse: the data may be too few; read the lift and its
    interval.
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
