"""What a result says of itself: its method, its reservation, its defaults, and the edges of its arguments."""

from __future__ import annotations

import pytest
from units import trials

from abtest.assignment import BUCKETS, Arm, ExperimentPlan, assign, bucket
from abtest.lift import ratio_lift
from abtest.planning import achieved_power, required_units
from abtest.ratio_check import SAMPLE_RATIO_ALARM, sample_ratio
from abtest.sequential import always_valid_lift, always_valid_share
from abtest.stats import UnitSums, non_inferiority
from abtest.verdict import percent

LOWER_ONLY = "control has too few conversions: the change has a lower limit only"
MORE, FEWER = trials(60, 1000), trials(40, 1000)


@pytest.mark.parametrize("method", ["fieller", "log", "exact"])
def test_a_lift_names_its_method(method):
    assert ratio_lift(MORE, FEWER, method=method).method == method


def test_a_sequential_lift_names_its_method():
    assert always_valid_lift(MORE, FEWER, planned_units=2000).method == "always-valid"
    assert always_valid_share(MORE, FEWER).method == "always-valid share"


@pytest.mark.parametrize("lift", [
    lambda treatment, control: ratio_lift(treatment, control, method="exact"),
    lambda treatment, control: always_valid_share(treatment, control),
])  # fmt: skip
def test_an_interval_with_both_limits_has_no_reservation_and_one_without_says_so(lift):
    both, lower = lift(MORE, FEWER), lift(trials(60, 1000), trials(0, 1000))
    assert both.note == "" and both.high is not None
    assert lower.note == LOWER_ONLY and lower.high is None and lower.low is not None


@pytest.mark.parametrize(("treatment", "control"), [((9, 9), (9, 9)), ((60, 9), (9, 60))])
def test_ten_effective_conversions_are_the_least_for_a_daily_statement(treatment, control):
    lift = always_valid_lift(trials(treatment[0], 1000), trials(control[0], 1000), planned_units=2000)
    assert lift.p_value is None and lift.low is None
    assert lift.note == "under 10 effective conversions in an arm: too early for a statement"


def test_a_plan_of_one_unit_is_allowed_and_of_none_is_not():
    assert always_valid_lift(MORE, FEWER, planned_units=1).low is not None
    assert always_valid_lift(MORE, FEWER, planned_units=0.5).low is not None
    with pytest.raises(ValueError, match="planned_units 0 must be positive"):
        always_valid_lift(MORE, FEWER, planned_units=0)


def test_more_is_better_unless_a_guardrail_says_otherwise():
    better, worse = trials(900, 1000), trials(500, 1000)
    assert non_inferiority(better, worse, margin=0.02).passed
    assert not non_inferiority(worse, better, margin=0.02).passed
    assert non_inferiority(worse, better, margin=0.02, lower_is_better=True).passed


def test_a_guardrails_lift_has_the_interval_of_its_alpha():
    guard = non_inferiority(MORE, FEWER, margin=0.1, alpha=0.1)
    assert guard.lift == ratio_lift(MORE, FEWER, confidence=0.8)


def test_one_arm_without_a_variance_is_enough_for_no_statement():
    unknown = UnitSums(1000, 1000, 60, 1000, float("nan"), 60)
    for treatment, control in ((unknown, FEWER), (MORE, unknown)):
        assert non_inferiority(treatment, control, margin=0.1).p_value is None
        lift = ratio_lift(treatment, control)
        assert lift.value is not None and (lift.p_value, lift.low, lift.high) == (None, None, None)


def test_coverage_ends_before_its_upper_bucket():
    at = bucket("layer", "unit-1")
    arms = (Arm("only", "champion", BUCKETS),)
    assert assign(ExperimentPlan("layer", "phase", at, at + 1, arms), "unit-1") == "only"
    assert assign(ExperimentPlan("layer", "phase", 0, at, arms), "unit-1") is None
    assert assign(ExperimentPlan("layer", "phase", at + 1, BUCKETS, arms), "unit-1") is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"alpha": 1.0}, "alpha 1.0 must lie in"),
        ({"alpha": 0.0}, "alpha 0.0 must lie in"),
        ({"design_effect": 0.0}, "^design_effect 0.0 must be positive"),
        ({"impressions_per_unit": 0.0}, "^impressions_per_unit 0.0 must be positive"),
        ({"lift": 0.0}, "lift 0.0 must not be 0"),
        ({"baseline": 0.6, "lift": 0.8}, "lift 0.8 must not be 0 and must keep"),  # a rate of 1.08
        ({"baseline": 0.5, "lift": 1.0}, "lift 1.0 must not be 0 and must keep"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_by_name(wrong, words):
    with pytest.raises(ValueError, match=words):
        required_units(**{"baseline": 0.02, "lift": 0.1} | wrong)


def test_power_needs_a_rate_below_one():
    with pytest.raises(ValueError, match=r"lift 0.8 must keep baseline·\(1 \+ lift\) inside \(0, 1\)"):
        achieved_power(0.6, 0.8, 1000)


def test_a_sample_ratio_of_weights_that_do_not_sum_to_one_is_the_same():
    assert sample_ratio([510, 490], [1, 1]) == sample_ratio([510, 490], [5000, 5000])
    assert sample_ratio([700, 300], [1, 1]).alarm and not sample_ratio([510, 490], [1, 1]).alarm
    assert sample_ratio([700, 300], [1, 1]).p_value < SAMPLE_RATIO_ALARM


@pytest.mark.parametrize(("change", "text"), [(0.005, "+0.5 %"), (0.01, "+1 %"), (-0.005, "−0.5 %"), (-0.01, "−1 %")])
def test_a_small_change_keeps_its_sign(change, text):
    assert percent(change) == text


def test_impossible_sums_name_the_least_that_is_possible():
    with pytest.raises(ValueError, match=r"sum_xx 4 is impossible: at least sum_x²/n = 8 \(squares of each unit"):
        UnitSums(2, 4, 0, 4, 0, 0)
    with pytest.raises(ValueError, match=r"sum_xy 9 is impossible: .* sum_xx · sum_yy \(Cauchy–Schwarz\)$"):
        UnitSums(2, 4, 4, 8, 8, 9)
