"""The always-valid test: as GrowthBook computes it, never narrower than the fixed one, silent when it is too early."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import ndtri
from units import sums_of, trials, units

from abtest.lift import ratio_lift
from abtest.sequential import always_valid_lift
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
