"""Planning: units, power and lift are one formula solved for each."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm

from abtest.lift import ratio_lift
from abtest.planning import achieved_power, days_to_go, minimum_detectable_lift, required_units
from abtest.sums import UnitSums

baselines, lifts, powers = st.floats(0.001, 0.4), st.floats(0.02, 1.0), st.floats(0.5, 0.99)


@given(baseline=baselines, lift=lifts, power=powers)
def test_the_required_units_have_the_required_power(baseline, lift, power):
    units = required_units(baseline, lift, power=power)
    assume(units > 200)  # below, rounding to a whole unit shows
    assert achieved_power(baseline, lift, units) == pytest.approx(power, abs=0.005)
    assert minimum_detectable_lift(baseline, units, power=power) == pytest.approx(lift, rel=0.01)


@given(baseline=baselines, units=st.integers(500, 10**6))
def test_more_units_see_smaller_lifts(baseline, units):
    few, many = minimum_detectable_lift(baseline, units), minimum_detectable_lift(baseline, 2 * units)
    assume(few is not None)
    assert many < few


def test_a_clustered_unit_needs_more_units_and_a_busy_one_fewer():
    single = required_units(0.02, 0.1)
    assert required_units(0.02, 0.1, design_effect=3) == pytest.approx(3 * single, abs=2)
    assert required_units(0.02, 0.1, impressions_per_unit=4) == pytest.approx(single / 4, abs=1)


def test_power_at_no_lift_is_one_tail_of_alpha():
    assert achieved_power(0.1, 0.0, 5000, alpha=0.05) == pytest.approx(0.025)


def test_power_of_a_negative_lift():
    n, p, q = 5000, 0.1, 0.09
    z = 0.01 * n**0.5 / (p * (1 - p) + q * (1 - q)) ** 0.5
    assert achieved_power(p, -0.1, n) == pytest.approx(norm.cdf(z - norm.ppf(0.975)))


# Fleiss, Statistical Methods for Rates and Proportions, unpooled: (1.95996 + 0.84162)² · (p(1-p) + q(1-q)) / (q-p)²
@pytest.mark.parametrize(
    ("baseline", "lift", "units"), [(0.20, 0.25, 1091), (0.02, 0.05, 315_204), (0.1, -0.1, 13_491)]
)
def test_the_planned_units_are_those_of_the_unpooled_test(baseline, lift, units):
    assert required_units(baseline, lift, alpha=0.05, power=0.8) == pytest.approx(units, abs=1)


@pytest.mark.parametrize(("baseline", "lift"), [(0.2, 0.25), (0.02, 0.5), (0.1, -0.3)])
def test_at_the_planned_units_the_expected_z_is_the_sum_of_the_two_quantiles(baseline, lift):
    units = required_units(baseline, lift, alpha=0.05, power=0.8)
    arms = (sums_of_rate(units, baseline * (1 + lift)), sums_of_rate(units, baseline))
    assert abs(ratio_lift(*arms).z) == pytest.approx(norm.ppf(0.975) + norm.ppf(0.8), rel=2e-3)


def sums_of_rate(units: int, rate: float) -> UnitSums:
    """Units of one impression each, of which exactly the rate converts."""
    return UnitSums(units, units, units * rate, units, units * rate, units * rate)


def test_a_handful_of_units_sees_nothing():
    assert minimum_detectable_lift(0.5, 2) is None


@pytest.mark.parametrize(("needed", "so_far", "per_day", "days"), [
    (1030, 0, 100, 11), (1030, 1000, 100, 1), (1030, 1030, 0, 0), (1030, 2000, 5, 0), (1030, 10, 0, None),
])  # fmt: skip
def test_days_to_go(needed, so_far, per_day, days):
    assert days_to_go(needed, so_far, per_day) == days


@pytest.mark.parametrize(("wrong", "named"), [
    ({"baseline": 0}, "baseline"), ({"baseline": 2.0}, "baseline"), ({"lift": 0}, "lift"), ({"lift": 9.0}, "lift"),
    ({"lift": -1.0}, "lift"), ({"alpha": 0}, "alpha"), ({"power": 1.0}, "power"), ({"power": 0.01}, "power"),
    ({"design_effect": 0}, "design_effect"), ({"impressions_per_unit": -1}, "impressions_per_unit"),
])  # fmt: skip
def test_a_wrong_plan_is_refused_by_argument(wrong, named):
    with pytest.raises(ValueError, match=named):
        required_units(**{"baseline": 0.2, "lift": 0.25} | wrong)


@pytest.mark.parametrize(("solve", "named"), [
    (lambda: achieved_power(0.2, 0.25, 0), "units"), (lambda: minimum_detectable_lift(0.2, -1), "units"),
    (lambda: achieved_power(0.2, 5.0, 100), "lift"), (lambda: minimum_detectable_lift(0.2, 100, power=1.0), "power"),
])  # fmt: skip
def test_a_wrong_question_is_refused_by_argument(solve, named):
    with pytest.raises(ValueError, match=named):
        solve()
