"""Lifts: intervals that agree with their tests, and words for what is undefined."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from units import sums_of, trials, units

from abtest.lift import evidence, ratio_lift
from abtest.sums import UnitSums

arms = units(least=5).map(lambda unit: sums_of(*unit))
NOBODY, ONE_UNIT, NO_SQUARES = (
    UnitSums(0, 0, 0, 0, 0, 0),
    UnitSums(1, 3, 1, 9, 1, 3),
    UnitSums(99, 99, 9, 99, math.nan, math.nan),
)


@pytest.mark.parametrize("method", ["fieller", "log", "exact"])
@given(treatment=arms, control=arms, confidence=st.floats(0.5, 0.99))
def test_the_interval_excludes_zero_exactly_when_the_test_rejects(method, treatment, control, confidence):
    lift = ratio_lift(treatment, control, confidence=confidence, method=method)
    assume(lift.low is not None and lift.high is not None and abs(lift.p_value - (1 - confidence)) > 1e-9)
    assert (lift.low > 0 or lift.high < 0) == (lift.p_value < 1 - confidence)


@given(treatment=arms, control=arms, confidence=st.floats(0.5, 0.99))
def test_fiellers_limits_are_the_ratios_that_the_test_just_accepts(treatment, control, confidence):
    lift = ratio_lift(treatment, control, confidence=confidence)
    assume(lift.low is not None)
    accepted = [
        (treatment.ratio - (1 + limit) * control.ratio) ** 2
        / (treatment.ratio_variance + (1 + limit) ** 2 * control.ratio_variance)
        for limit in (lift.low, lift.high)
    ]
    assert accepted[0] == pytest.approx(accepted[1], rel=1e-6)
    assert lift.low <= lift.value <= lift.high


@pytest.mark.parametrize("method", ["fieller", "log"])
@given(treatment=units(least=5), control=units(least=5), factor=st.floats(0.01, 100))
def test_a_lift_ignores_the_currency_and_the_order_of_units(method, treatment, control, factor):
    plain = ratio_lift(sums_of(*treatment), sums_of(*control), method=method)
    assume(plain.low is not None)
    scaled = ratio_lift(*(sums_of(x[::-1], factor * y[::-1]) for x, y in (treatment, control)), method=method)
    assume(scaled.low is not None)
    found, expected = ((lift.value, lift.low, lift.high, lift.z, lift.p_value) for lift in (scaled, plain))
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-8)


@given(treatment=arms, control=arms)
def test_swapping_the_arms_turns_the_test_round(treatment, control):
    there, back = ratio_lift(treatment, control), ratio_lift(control, treatment)
    assume(there.z is not None and back.z is not None)
    assert (there.z, there.p_value) == (pytest.approx(-back.z), pytest.approx(back.p_value))


@given(treatment=arms, control=arms)
def test_more_confidence_is_a_wider_interval(treatment, control):
    narrow, wide = (ratio_lift(treatment, control, confidence=confidence) for confidence in (0.8, 0.95))
    assume(wide.low is not None)
    assert wide.low <= narrow.low <= narrow.high <= wide.high


@pytest.mark.parametrize(("in_treatment", "in_control"), [(5, 12), (12, 5), (1, 9), (3, 4), (0, 7), (30, 10)])
def test_without_clustering_the_exact_method_is_clopper_pearsons(in_treatment, in_control):
    lift = ratio_lift(trials(in_treatment, 1000), trials(in_control, 1000), method="exact")
    share = binomtest(in_treatment, in_treatment + in_control, 0.5).proportion_ci(0.95, method="exact")
    assert (lift.low, lift.high) == pytest.approx(tuple(limit / (1 - limit) - 1 for limit in share), rel=1e-2)
    assert lift.p_value == pytest.approx(binomtest(in_treatment, in_treatment + in_control, 0.5).pvalue, rel=1e-2)


def test_clustered_conversions_widen_the_exact_interval():
    single = ratio_lift(trials(24, 4000), trials(12, 4000), method="exact")
    together = ratio_lift(
        sums_of([4] * 1000, [4] * 6 + [0] * 994), sums_of([4] * 1000, [4] * 3 + [0] * 997), method="exact"
    )
    assert (together.value, together.difference) == pytest.approx((single.value, single.difference))
    assert together.low < single.low < single.high < together.high


# Clopper–Pearson, two-sided: twice the smaller tail of Binomial(Y, X_T / (X_T + X_C)); independent units, so D = 1
@pytest.mark.parametrize(
    ("treatment", "control", "p_value"),
    [((9, 1000), (3, 9000), 3.3e-7), ((8, 1000), (12, 9000), 8.3e-4), ((12, 9000), (8, 1000), 8.3e-4)],
)
def test_a_real_effect_between_unequal_arms_is_no_clustering(treatment, control, p_value):
    (y_t, x_t), (y_c, x_c) = treatment, control
    tails = binom.cdf(y_t, y_t + y_c, x_t / (x_t + x_c)), binom.sf(y_t - 1, y_t + y_c, x_t / (x_t + x_c))
    lift = ratio_lift(trials(*treatment), trials(*control), method="exact")
    assert lift.p_value == pytest.approx(2 * min(tails), rel=0.02)
    assert lift.p_value == pytest.approx(p_value, rel=0.025)


def test_the_exact_method_divides_counts_by_the_design_effect_of_each_arm():
    # every converting unit converts on all of its four impressions: D is 4, so 24 against 12 weigh like 6 against 3
    clustered = ratio_lift(
        sums_of([4] * 10_000, [4] * 6 + [0] * 9994), sums_of([4] * 10_000, [4] * 3 + [0] * 9997), method="exact"
    )
    single = binomtest(6, 9, 0.5)
    limits = single.proportion_ci(0.95, method="exact")
    assert (clustered.low, clustered.high) == pytest.approx(tuple(p / (1 - p) - 1 for p in limits), rel=1e-2)
    assert clustered.p_value == pytest.approx(single.pvalue, rel=1e-2)


@pytest.mark.parametrize(
    ("treatment", "control", "supports"),
    [
        (0, 900, "one_low"), (9, 900, "one_low"), (900, 9, "one_low"), (8, 11, "one_low"),
        (0, 0, "counts"), (9, 9, "counts"), (0, 9, "counts"),
        (11, 900, "tagged"), (900, 48, "tagged"), (11, 11, "tagged"), (52, 900, "full"), (900, 52, "full"),
    ],
)  # fmt: skip
def test_what_the_effective_conversions_of_both_arms_support(treatment, control, supports):
    assert evidence(trials(treatment, 10_000), trials(control, 10_000)) == supports


def test_conversions_of_a_few_units_are_little_evidence():
    eighty_conversions_of_eight_units = sums_of([10] * 1000, [10] * 8 + [0] * 992)
    assert evidence(eighty_conversions_of_eight_units, trials(900, 10_000)) == "one_low"


@pytest.mark.parametrize(("treatment", "control", "method", "words"), [
    (trials(5, 100), trials(0, 100), "fieller", "control has no conversions"),
    (trials(5, 100), trials(0, 100), "log", "control has no conversions"),
    (trials(5, 100), trials(0, 100), "exact", "lower limit only"),
    (trials(0, 100), trials(0, 100), "exact", "neither arm has a conversion yet"),
    (trials(0, 100), trials(0, 100), "fieller", "neither arm has a conversion yet"),
    (trials(0, 100), trials(5, 100), "fieller", "treatment has no conversions"),
    (NOBODY, trials(5, 100), "fieller", "treatment has nothing to count yet"),
    (trials(5, 100), NOBODY, "exact", "control has nothing to count yet"),
    (trials(5, 100), ONE_UNIT, "fieller", "control has 1 unit"),
    (ONE_UNIT, ONE_UNIT, "exact", "treatment has 1 unit(s) and control has 1 unit(s)"),
    (NO_SQUARES, trials(5, 100), "log", "variance missing"),
    (trials(9, 9), trials(9, 9), "fieller", "no variation between units"),
    (trials(9, 9), trials(9, 9), "exact", "no variation between units"),
    (trials(40, 1000), trials(3, 1000), "fieller", "baseline too small for a relative interval"),
])  # fmt: skip
def test_what_is_undefined_is_said_in_words(treatment, control, method, words):
    lift = ratio_lift(treatment, control, method=method)
    assert words in lift.note
    assert (lift.low is not None, lift.high) == (words == "lower limit only", None)


def test_a_lift_without_baseline_still_shows_the_difference():
    lift = ratio_lift(trials(5, 100), trials(0, 100))
    assert (lift.value, lift.difference) == (None, 0.05)


@pytest.mark.parametrize("wrong", [{"confidence": 0}, {"confidence": 1}, {"confidence": 95}, {"method": "bayes"}])
def test_a_wrong_argument_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ratio_lift(trials(5, 100), trials(5, 100), **wrong)
