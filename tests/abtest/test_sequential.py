"""The always-valid test: as GrowthBook computes it, never narrower than the fixed one, silent when it is too early."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtri
from units import sums_of, trials, units

from abtest.lift import ratio_lift
from abtest.sequential import always_valid_lift, always_valid_share
from abtest.sums import UnitSums

arms = units(least=20).map(lambda unit: sums_of(*(np.tile(column, 50) for column in unit)))  # enough for a statement


def critical_value(lift, treatment: UnitSums, control: UnitSums) -> float:
    """c, read back from the upper limit: the ratio that lies c standard errors away."""
    theta = 1 + lift.high
    return (theta * control.ratio - treatment.ratio) / sqrt(
        treatment.ratio_variance + theta**2 * control.ratio_variance
    )


def growthbooks_critical_value(n: float, planned: float, alpha: float) -> float:
    """gbstats, `sequential_interval_halfwidth`, in standard errors; its ρ² is our 1/ρ."""
    rho = sqrt((-2 * log(alpha) + log(-2 * log(alpha) + 1)) / planned)
    return sqrt(n) * sqrt(2 * (n * rho**2 + 1) * log(sqrt(n * rho**2 + 1) / alpha) / (n * rho) ** 2)


@pytest.mark.parametrize("planned_units", [2_000, 20_000, 200_000])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_the_critical_value_is_growthbooks(planned_units, alpha):
    treatment, control = trials(700, 10_000), trials(650, 10_000)
    lift = always_valid_lift(treatment, control, planned_units=planned_units, alpha=alpha)
    assert critical_value(lift, treatment, control) == pytest.approx(
        growthbooks_critical_value(20_000, planned_units, alpha)
    )


def test_at_the_planned_size_five_percent_needs_three_standard_errors():
    treatment, control = trials(700, 10_000), trials(650, 10_000)
    assert critical_value(
        always_valid_lift(treatment, control, planned_units=20_000), treatment, control
    ) == pytest.approx(3.0352, abs=1e-4)


@given(treatment=arms, control=arms, planned=st.floats(10, 1e6), alpha=st.floats(0.001, 0.3))
def test_the_interval_excludes_zero_exactly_when_p_is_under_alpha(treatment, control, planned, alpha):
    lift = always_valid_lift(treatment, control, planned_units=planned, alpha=alpha)
    assume(lift.low is not None and abs(lift.p_value - alpha) > 1e-9)
    assert (lift.low > 0 or lift.high < 0) == (lift.p_value < alpha)


@given(treatment=arms, control=arms, planned=st.floats(10, 1e6))
def test_looking_every_day_costs_width(treatment, control, planned):
    always, fixed = always_valid_lift(treatment, control, planned_units=planned), ratio_lift(treatment, control)
    assume(always.low is not None)
    assert always.low < fixed.low <= fixed.high < always.high
    assert always.p_value >= fixed.p_value


def test_the_sequence_is_tightest_near_its_plan():
    def c(planned: float) -> float:
        treatment, control = trials(700, 10_000), trials(650, 10_000)
        return critical_value(always_valid_lift(treatment, control, planned_units=planned), treatment, control)

    assert c(20_000) < min(c(2_000), c(200_000))
    assert c(20_000) > ndtri(0.975)


@pytest.mark.parametrize(
    ("treatment", "control", "words"),
    [
        (trials(30, 1000), trials(9, 1000), "too early"),
        (trials(9, 1000), trials(30, 1000), "too early"),
        (trials(30, 1000), trials(0, 1000), "no conversions"),
        (UnitSums(0, 0, 0, 0, 0, 0), trials(30, 1000), "nothing to count"),
    ],
)
def test_no_statement_is_made_too_early(treatment, control, words):
    lift = always_valid_lift(treatment, control, planned_units=2000)
    assert words in lift.note
    assert (lift.low, lift.high, lift.p_value) == (None, None, None)


@pytest.mark.parametrize("wrong", [{"planned_units": 0}, {"planned_units": -5}, {"alpha": 0}, {"alpha": 1}])
def test_a_wrong_argument_of_the_sequence_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        always_valid_lift(trials(30, 1000), trials(30, 1000), **{"planned_units": 2000} | wrong)


@pytest.mark.parametrize(
    ("treatment", "control"), [((8, 1000), (40, 1000)), ((0, 1000), (30, 1000)), ((3, 1000), (60, 9000))]
)
def test_the_share_of_conversions_is_tested_by_its_likelihood_against_a_uniform_mixture(treatment, control):
    (y_t, x_t), (y_c, x_c) = treatment, control
    lift = always_valid_share(trials(*treatment), trials(*control))

    def p_value(theta: float) -> float:
        share = theta * x_t / (theta * x_t + x_c)
        mixture = quad(lambda q: q**y_t * (1 - q) ** y_c, 0, 1, epsabs=0)[0]
        return min(1.0, share**y_t * (1 - share) ** y_c / mixture)

    assert lift.p_value == pytest.approx(p_value(1.0), rel=0.1)  # n - 1 in the variance deflates by up to 0.2 %
    assert p_value(1 + lift.high) == pytest.approx(0.05, rel=0.02)
    assert lift.low == -1 if not y_t else p_value(1 + lift.low) == pytest.approx(0.05, rel=0.02)


@given(treatment=units(least=20), control=units(least=20), alpha=st.floats(0.001, 0.3))
def test_the_shares_interval_excludes_zero_exactly_when_p_is_under_alpha(treatment, control, alpha):
    lift = always_valid_share(sums_of(*treatment), sums_of(*control), alpha=alpha)
    assume(lift.low is not None and lift.high is not None and abs(lift.p_value - alpha) > 1e-9)
    assert (lift.low > 0 or lift.high < 0) == (lift.p_value < alpha)


@pytest.mark.parametrize("design_effect", [1, 4])
def test_daily_looks_at_the_share_of_conversions_keep_the_false_alarm_rate(design_effect):
    """A/A with 30 looks and clustered conversions: each converting unit converts on all of its impressions."""
    rng = np.random.default_rng(7)
    runs, looks, daily_units = 400, 30, 500
    converting = rng.binomial(daily_units, 2 / daily_units, (runs, looks, 2)).cumsum(1)

    def arm(count: int, look: int) -> UnitSums:
        n, m = daily_units * (look + 1), design_effect
        return UnitSums(n, n * m, count * m, n * m**2, count * m**2, count * m**2)

    ever = [
        any(
            (always_valid_share(arm(t, look), arm(c, look)).p_value or 1) < 0.05
            for look, (t, c) in enumerate(run)
            if t + c
        )
        for run in converting.tolist()
    ]
    assert np.mean(ever) <= 0.05
