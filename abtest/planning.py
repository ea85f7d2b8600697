"""Planning before the start: units, power and the smallest lift that would be detected."""

from __future__ import annotations

from math import ceil, sqrt

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri


def required_units(
    baseline: float,
    lift: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    impressions_per_unit: float = 1.0,
    design_effect: float = 1.0,
) -> int:
    """Units per arm that detect a relative lift with the given power, two-sided, equal arms, to the nearest unit.

    n = (z_{1-α/2} + z_{power})² · (p(1-p) + q(1-q)) / (q - p)² · design_effect / impressions_per_unit,
    q = p·(1 + lift)

    baseline p is a rate per impression. The variance is that of the test: unpooled, under the lift (20 %, +5 points:
    1,091; Evan Miller's calculator takes the baseline's variance under the null and says 1,030). impressions_per_unit
    is Σx/n and design_effect `UnitSums.design_effect`, both from past data; both are 1 when a unit is one trial.
    """
    _check(baseline, alpha, impressions_per_unit, design_effect)
    _check_power(power, alpha)
    if lift == 0 or not 0 < baseline * (1 + lift) < 1:
        raise ValueError(f"lift {lift} must not be 0 and must keep baseline·(1 + lift) inside (0, 1); 0.05 reads +5 %")
    distance = float(ndtri(1 - alpha / 2)) + float(ndtri(power))
    trials = (distance * _spread(baseline, lift) / (baseline * lift)) ** 2
    return round(trials * design_effect / impressions_per_unit)


def achieved_power(
    baseline: float,
    lift: float,
    units: int,
    *,
    alpha: float = 0.05,
    impressions_per_unit: float = 1.0,
    design_effect: float = 1.0,
) -> float:
    """The power that `units` per arm have for a relative lift: `required_units` solved for power, without the far
    tail.
    """
    _check(baseline, alpha, impressions_per_unit, design_effect)
    if not units > 0:
        raise ValueError(f"units {units} must be positive, per arm")
    if not 0 < baseline * (1 + lift) < 1:
        raise ValueError(f"lift {lift} must keep baseline·(1 + lift) inside (0, 1)")
    trials = units * impressions_per_unit / design_effect
    z = abs(baseline * lift) * sqrt(trials) / _spread(baseline, lift)
    return float(ndtr(z - float(ndtri(1 - alpha / 2))))


def minimum_detectable_lift(
    baseline: float,
    units: int,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    impressions_per_unit: float = 1.0,
    design_effect: float = 1.0,
) -> float | None:
    """The smallest positive relative lift that `units` per arm detect with the given power; None when not even a rate
    of 1 would be detected.
    """
    _check_power(power, alpha)

    def shortfall(lift: float) -> float:
        return power - achieved_power(
            baseline, lift, units, alpha=alpha, impressions_per_unit=impressions_per_unit, design_effect=design_effect
        )

    nothing, everything = 1e-9, (1 - 1e-9) / baseline - 1
    return float(brentq(shortfall, nothing, everything)) if shortfall(everything) < 0 else None


def days_to_go(units_needed: int, units_so_far: int, units_per_day: float) -> int | None:
    """Whole days until an arm has the units it needs, at the current rate of new units; None when no units arrive."""
    missing = max(0, units_needed - units_so_far)
    if missing == 0:
        return 0
    return ceil(missing / units_per_day) if units_per_day > 0 else None


def _spread(baseline: float, lift: float) -> float:
    """Standard deviation of the difference of two single trials, one in each arm."""
    lifted = baseline * (1 + lift)
    return sqrt(baseline * (1 - baseline) + lifted * (1 - lifted))


def _check(baseline: float, alpha: float, impressions_per_unit: float, design_effect: float) -> None:
    if not 0 < baseline < 1:
        raise ValueError(f"baseline {baseline} must be a rate in (0, 1); 0.02 reads 2 %")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} must lie in (0, 1), such as 0.05")
    for name, factor in (("impressions_per_unit", impressions_per_unit), ("design_effect", design_effect)):
        if not factor > 0:
            raise ValueError(f"{name} {factor} must be positive; 1 when a unit is one trial")


def _check_power(power: float, alpha: float) -> None:
    if not alpha < power < 1:
        raise ValueError(
            f"power {power} must lie in (alpha, 1), such as 0.8: less than alpha is reached without any units"
        )
