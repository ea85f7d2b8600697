"""Tests that may be read every day, and acted on at any look, without raising the false-alarm rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import exp, log, sqrt

from scipy.optimize import brentq
from scipy.special import betaln, xlog1py, xlogy

from abtest.lift import COUNTS_BELOW, Lift, compare, deflated, evidence, with_fieller_interval
from abtest.sums import UnitSums


def always_valid_lift(treatment: UnitSums, control: UnitSums, *, planned_units: float, alpha: float = 0.05) -> Lift:
    """R_T / R_C - 1 with an interval and p that hold at all looks together: the asymptotic confidence sequence, as
    GrowthBook computes it.

    Fieller's interval with z replaced by   c = √(((n+ρ)/n) · ln((n+ρ) / (ρα²))),   n = units in both arms,
    p = min(1, √((n+ρ)/ρ) · exp(-(n/(n+ρ)) · z²/2)),   ρ = N / (-2 ln α + ln(1 - 2 ln α)),
    N = planned_units in both arms, where the sequence is tightest. N is fixed before the start: choosing it on the data
    invalidates the interval. Waudby-Smith et al., arXiv 2103.06476. No statement under 10 effective conversions in an
    arm, where the normal limit does not hold yet.
    """
    if not planned_units > 0:
        raise ValueError(
            f"planned_units {planned_units} must be positive: the units that both arms together are planned to reach"
        )
    _check_alpha(alpha)
    lift = replace(compare(treatment, control), method="always-valid")
    if lift.z is None:
        return lift
    if evidence(treatment, control) in ("counts", "one_low"):
        return replace(
            lift, p_value=None, note=f"under {COUNTS_BELOW} effective conversions in an arm: too early for a statement"
        )
    n, rho = treatment.n + control.n, planned_units / (-2 * log(alpha) + log(1 - 2 * log(alpha)))
    critical = sqrt((n + rho) / n * log((n + rho) / (rho * alpha**2)))
    p_value = min(1.0, sqrt((n + rho) / rho) * exp(-n / (n + rho) * lift.z**2 / 2))
    return with_fieller_interval(replace(lift, p_value=p_value), treatment, control, critical)


def always_valid_share(treatment: UnitSums, control: UnitSums, *, alpha: float = 0.05) -> Lift:
    """R_T / R_C - 1 with an interval and p that hold at all looks together, for few conversions in one arm: the
    beta-mixture sequential binomial test of treatment's share of the conversions.

    Given all conversions, treatment's are Binomial(Y, π) with odds π/(1-π) = θ·X_T/X_C. With counts divided by the
    design effect (see `deflated`), the likelihood of π against a uniform mixture is a martingale under π:
    p(π) = min(1, π^y_T · (1-π)^y_C / B(1+y_T, 1+y_C));   the interval is every θ with p(π) > α, the p value is that of
    θ = 1. Robbins, Ann. Math. Stat. 1970. z is None: the test has none.
    """
    _check_alpha(alpha)
    lift = replace(compare(treatment, control), z=None, p_value=None, method="always-valid share")
    counts = deflated(treatment, control)
    if isinstance(counts, str):
        return replace(lift, note=lift.note or counts)
    y_t, y_c = counts.treatment, counts.control
    x_t, x_c = treatment.sum_x, control.sum_x

    def log_p(share: float) -> float:
        return float(xlogy(y_t, share) + xlog1py(y_c, -share) - betaln(1 + y_t, 1 + y_c))

    low, high = _shares_above(log_p, y_t / (y_t + y_c), log(alpha))
    return replace(
        lift,
        low=low / (1 - low) * x_c / x_t - 1,
        high=high / (1 - high) * x_c / x_t - 1 if high < 1 else None,
        p_value=exp(min(0.0, log_p(x_t / (x_t + x_c)))),
        se=counts.se,
        note="" if high < 1 else "control has too few conversions: the change has a lower limit only",
    )


def _shares_above(log_p: Callable[[float], float], mode: float, limit: float) -> tuple[float, float]:
    """The interval around the mode in which a function with one maximum exceeds the limit; 0 or 1 where it is open."""
    nearly_none, nearly_all = 1e-12, 1 - 1e-12

    def excess(share: float) -> float:
        return log_p(share) - limit

    low = float(brentq(excess, nearly_none, mode)) if mode > nearly_none and excess(nearly_none) < 0 else 0.0
    high = float(brentq(excess, mode, nearly_all)) if mode < nearly_all and excess(nearly_all) < 0 else 1.0
    return low, high


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} must lie in (0, 1), such as 0.05")
