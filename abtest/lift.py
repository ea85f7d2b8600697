"""The relative change between two arms, R_T / R_C - 1, with its interval, by three methods.

Units are independent and arms are independent; impressions within a unit are not (treating them as independent gives
23.7 % false alarms at 5 %).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import expm1, log, sqrt
from typing import Literal

from scipy.special import betainc, betaincc, betaincinv, ndtr, ndtri

from abtest.sums import UnitSums

Method = Literal["fieller", "log", "exact"]
Evidence = Literal["counts", "one_low", "tagged", "full"]

# effective conversions in an arm: with fewer in both, the report shows counts and the exact interval, and no verdict
COUNTS_BELOW = 10
TAGGED_BELOW = 50  # with fewer the verdict carries a warning: the normal approximation is rough


@dataclass(frozen=True, slots=True)
class Lift:
    """A relative change (eq. 10) with its uncertainty. An undefined value is None, and `note` gives the reason."""

    value: float | None  # R_T / R_C - 1: 0.0919 reads "+9.19 %"
    low: float | None  # the interval, on the same scale
    high: float | None
    p_value: float | None  # two-sided, of no difference
    z: float | None  # the test's statistic, where it has one
    difference: float | None  # R_T - R_C
    se: float | None  # standard error of the difference
    method: str
    note: str = ""


def evidence(treatment: UnitSums, control: UnitSums) -> Evidence:
    """The kind of verdict that the arms' effective conversions R²/v support.

    counts   under 10 in both arms: no verdict
    one_low  under 10 in one arm: only harm may be declared, by the sequential test of `sequential.always_valid_share`
    tagged   under 50 in an arm: a verdict with a warning
    full     50 or more in both
    """
    low, high = sorted(arm.effective_conversions for arm in (treatment, control))
    if low < COUNTS_BELOW:
        return "counts" if high < COUNTS_BELOW else "one_low"
    return "tagged" if low < TAGGED_BELOW else "full"


def ratio_lift(treatment: UnitSums, control: UnitSums, *, confidence: float = 0.95, method: Method = "fieller") -> Lift:
    """R_T / R_C - 1 of two independent arms, with a two-sided interval and p, for one look at the data.

    fieller  all θ with (R_T - θ·R_C)² <= c²·(v_T + θ²·v_C), c = Φ⁻¹((1 + confidence)/2); it excludes zero exactly
             when |z| > c, z = (R_T - R_C) / √(v_T + v_C)      unpooled, normal; Fieller, JRSS B 1954
    log      ln(R_T / R_C) ± c·√(v_T/R_T² + v_C/R_C²), z on that scale      Deng et al., KDD 2018
    exact    conditional Clopper–Pearson on design-effect-deflated counts, for few conversions: see `exact_lift`
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} must lie in (0, 1), such as 0.95")
    if method == "exact":
        return exact_lift(treatment, control, confidence=confidence)
    critical = float(ndtri((1 + confidence) / 2))
    if method == "fieller":
        return with_fieller_interval(compare(treatment, control), treatment, control, critical)
    if method == "log":
        return _log_lift(treatment, control, critical)
    raise ValueError(f"method {method!r} must be 'fieller', 'log' or 'exact'")


def compare(treatment: UnitSums, control: UnitSums) -> Lift:
    """The change and its z test, without an interval; the note says what is undefined."""
    lift = Lift(None, None, None, None, None, None, None, method="fieller")
    for name, arm in (("treatment", treatment), ("control", control)):
        if arm.ratio is None:
            return replace(lift, note=f"{name} has nothing to count yet")
    r_t, r_c = treatment.sum_y / treatment.sum_x, control.sum_y / control.sum_x
    lift = replace(lift, difference=r_t - r_c)
    if r_t == r_c == 0:
        return replace(lift, note=_NO_CONVERSIONS)
    if r_c == 0:
        return replace(lift, note="control has no conversions: a relative change has no baseline")
    lift = replace(lift, value=r_t / r_c - 1)
    v_t, v_c = treatment.ratio_variance, control.ratio_variance
    if v_t is None or v_c is None:
        return replace(lift, note=_no_variance(treatment, control))
    if r_t == 0:
        return replace(
            lift, note="treatment has no conversions: their spread is unknown; method 'exact' gives an interval"
        )
    se = sqrt(v_t + v_c)
    if se == 0:
        return replace(lift, note="no variation between units in either arm: no interval")
    z = (r_t - r_c) / se
    return replace(lift, se=se, z=z, p_value=2 * float(ndtr(-abs(z))))


def with_fieller_interval(lift: Lift, treatment: UnitSums, control: UnitSums, critical: float) -> Lift:
    """The comparison with Fieller's interval at a critical value: the roots θ of (R_T - θ·R_C)² = c²·(v_T + θ²·v_C).

    θ = (R_T·R_C ± c·√(R_C²·v_T + R_T²·v_C - c²·v_T·v_C)) / (R_C² - c²·v_C)
    When control's ratio is itself within c standard errors of zero, the set is unbounded and no interval is given.
    """
    v_t, v_c = treatment.ratio_variance, control.ratio_variance
    if lift.se is None or v_t is None or v_c is None:
        return lift
    r_t, r_c = treatment.sum_y / treatment.sum_x, control.sum_y / control.sum_x
    curvature = r_c**2 - critical**2 * v_c
    if curvature <= 0:
        return replace(
            lift,
            note="baseline too small for a relative interval: control's own interval reaches zero; read the difference",
        )
    half_width = critical * sqrt(r_c**2 * v_t + r_t**2 * v_c - critical**2 * v_t * v_c)
    return replace(lift, low=(r_t * r_c - half_width) / curvature - 1, high=(r_t * r_c + half_width) / curvature - 1)


def _log_lift(treatment: UnitSums, control: UnitSums, critical: float) -> Lift:
    lift = replace(compare(treatment, control), method="log")
    v_t, v_c = treatment.ratio_variance, control.ratio_variance
    if lift.se is None or v_t is None or v_c is None:
        return lift
    r_t, r_c = treatment.sum_y / treatment.sum_x, control.sum_y / control.sum_x
    shift, se = log(r_t / r_c), sqrt(v_t / r_t**2 + v_c / r_c**2)
    return replace(
        lift,
        low=expm1(shift - critical * se),
        high=expm1(shift + critical * se),
        z=shift / se,
        p_value=2 * float(ndtr(-abs(shift) / se)),
    )


def exact_lift(treatment: UnitSums, control: UnitSums, *, confidence: float) -> Lift:
    """R_T / R_C - 1 with the conditional Clopper–Pearson interval and p, for few conversions. z is None: the test has
    none.

    Given all conversions Y, treatment's are Binomial(Y, π) with odds π/(1-π) = θ·X_T/X_C, X = Σx; the limits of π carry
    over to θ. Counts are divided by the design effect D (see `deflated`), because conversions of one unit come
    together (12 % false alarms at 50 conversions without it).
    """
    lift = replace(compare(treatment, control), z=None, p_value=None, method="exact")
    counts = deflated(treatment, control)
    if isinstance(counts, str):
        return replace(lift, note=lift.note or counts)
    x_t, x_c = treatment.sum_x, control.sum_x
    share, tail = x_t / (x_t + x_c), (1 - confidence) / 2
    p_more = float(betainc(counts.treatment, counts.control + 1, share)) if counts.treatment else 1.0
    p_fewer = float(betaincc(counts.treatment + 1, counts.control, share)) if counts.control else 1.0
    # lower limits of each arm's share of all conversions; 0 where far less than one conversion is left after deflation
    least_t = float(betaincinv(counts.treatment, counts.control + 1, tail)) if counts.treatment else 0.0
    least_c = float(betaincinv(counts.control, counts.treatment + 1, tail)) if counts.control else 0.0
    return replace(
        lift,
        low=least_t / (1 - least_t) * x_c / x_t - 1,
        high=(1 - least_c) / least_c * x_c / x_t - 1 if least_c else None,
        p_value=min(1.0, 2 * min(p_more, p_fewer)),
        se=counts.se,
        note="" if least_c else "control has too few conversions: the change has a lower limit only",
    )


@dataclass(frozen=True, slots=True)
class DeflatedCounts:
    """Conversions of both arms, divided by the design effect: the equivalent number of independent conversions."""

    treatment: float
    control: float
    se: float  # standard error of the difference of the ratios


def deflated(treatment: UnitSums, control: UnitSums) -> DeflatedCounts | str:
    """Y_T / D and Y_C / D, or a message that gives the reason why they are unknown.

    D = max(1, (v_T + v_C) / (p_T(1-p_T)/X_T + p_C(1-p_C)/X_C)),   p = Y/X of each arm.
    The binomial variance is each arm's: with a common p̄ a real effect would look like clustering.
    """
    v_t, v_c = treatment.ratio_variance, control.ratio_variance
    if v_t is None or v_c is None:
        return _no_variance(treatment, control)
    if not treatment.sum_y + control.sum_y:
        return _NO_CONVERSIONS
    p_t, p_c = treatment.sum_y / treatment.sum_x, control.sum_y / control.sum_x
    binomial = p_t * (1 - p_t) / treatment.sum_x + p_c * (1 - p_c) / control.sum_x
    if max(p_t, p_c) > 1 or binomial <= 0:
        return "the exact method needs at most one conversion per impression, and fewer conversions than impressions"
    effect = max(1.0, (v_t + v_c) / binomial)
    return DeflatedCounts(treatment.sum_y / effect, control.sum_y / effect, sqrt(v_t + v_c))


_NO_CONVERSIONS = "neither arm has a conversion yet"


def _no_variance(treatment: UnitSums, control: UnitSums) -> str:
    few = [f"{name} has {arm.n} unit(s)" for name, arm in (("treatment", treatment), ("control", control)) if arm.n < 2]
    return f"variance unknown: {' and '.join(few)}" if few else "variance missing: the source kept no second moments"
