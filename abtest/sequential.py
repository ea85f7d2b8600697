"""A test that may be looked at every day, and stopped at any look, without raising its false alarms."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log, sqrt

from abtest.lift import COUNTS_BELOW, Lift, compare, evidence, with_fieller_interval
from abtest.sums import UnitSums


def always_valid_lift(treatment: UnitSums, control: UnitSums, *, planned_units: float, alpha: float = 0.05) -> Lift:
    """R_T / R_C - 1 with an interval and p that hold at all looks together: the asymptotic confidence sequence, as
    GrowthBook computes it.

    Fieller's interval with z replaced by   c = √(((n+ρ)/n) · ln((n+ρ) / (ρα²))),   n = units in both arms,
    p = min(1, √((n+ρ)/ρ) · exp(-(n/(n+ρ)) · z²/2)),   ρ = N / (-2 ln α + ln(1 - 2 ln α)),
    N = planned_units in both arms, where the sequence is tightest: fixed before the start: choosing it on the data
    breaks the promise. Waudby-Smith et al., arXiv 2103.06476. No statement under 10 effective conversions in an arm,
    where the normal limit does not hold yet.
    """
    if not planned_units > 0:
        raise ValueError(
            f"planned_units {planned_units} must be positive: the units that both arms together are planned to reach"
        )
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} must lie in (0, 1), such as 0.05")
    lift = replace(compare(treatment, control), method="always-valid")
    if lift.z is None:
        return lift
    if evidence(treatment, control) == "counts":
        return replace(
            lift, p_value=None, note=f"under {COUNTS_BELOW} effective conversions in an arm: too early for a statement"
        )
    n, rho = treatment.n + control.n, planned_units / (-2 * log(alpha) + log(1 - 2 * log(alpha)))
    critical = sqrt((n + rho) / n * log((n + rho) / (rho * alpha**2)))
    p_value = min(1.0, sqrt((n + rho) / rho) * exp(-n / (n + rho) * lift.z**2 / 2))
    return with_fieller_interval(replace(lift, p_value=p_value), treatment, control, critical)
