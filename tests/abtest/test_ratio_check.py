"""The sample-ratio check: exact where counts are small, valid under daily looks, sensitive to lost units."""

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import binom, binomtest, chisquare, multinomial

from abtest.ratio_check import sample_ratio, sequential_sample_ratio


def test_microsofts_lost_units_raise_an_alarm():
    # Kohavi et al., Trustworthy Online Controlled Experiments, ch. 21
    ratio = sample_ratio([821_588, 815_482], [0.5, 0.5])
    assert ratio.p_value == pytest.approx(1.8e-6, abs=1e-7)
    assert ratio.alarm


@given(counts=st.lists(st.integers(1, 10_000), min_size=2, max_size=6), data=st.data())
def test_the_sample_ratio_is_pearsons_whatever_the_weights_sum_to(counts, data):
    weights = data.draw(st.lists(st.integers(1, 9), min_size=len(counts), max_size=len(counts)))
    expected = np.array(weights) * sum(counts) / sum(weights)
    assume(expected.min() >= 10)
    assert sample_ratio(counts, weights).p_value == pytest.approx(chisquare(counts, expected).pvalue, abs=1e-12)


def test_two_units_in_an_arm_of_one_in_ten_thousand_are_no_alarm():
    ratio = sample_ratio([998, 2], [9999, 1])
    assert ratio.p_value == pytest.approx(0.0047, abs=5e-5)  # Pearson's: 2e-9
    assert not ratio.alarm


@given(
    units=st.integers(1, 300), in_treatment=st.integers(0, 300), weight=st.sampled_from([0.5, 0.2, 0.05, 0.01, 0.001])
)
def test_two_small_arms_are_compared_by_the_exact_binomial_test(units, in_treatment, weight):
    assume(in_treatment <= units and units * weight < 10)
    found = sample_ratio([in_treatment, units - in_treatment], [weight, 1 - weight]).p_value
    assert found == pytest.approx(binomtest(in_treatment, units, weight).pvalue, rel=1e-6)


@pytest.mark.parametrize("counts", [(3, 4, 5), (12, 0, 1), (0, 0, 25), (9, 2, 9), (20, 5, 1), (1, 1, 1)])
@pytest.mark.parametrize("weights", [(1, 1, 1), (5, 4, 1), (1, 10, 5)])
def test_three_small_arms_are_compared_by_the_exact_multinomial_test(counts, weights):
    units, shares = sum(counts), np.array(weights) / sum(weights)
    outcomes = [(a, b, units - a - b) for a, b in product(range(units + 1), repeat=2) if a + b <= units]
    probability = multinomial(units, shares).pmf(outcomes)
    observed = multinomial(units, shares).pmf(counts)
    expected = probability[probability <= observed * (1 + 1e-7)].sum()
    assert sample_ratio(counts, weights).p_value == pytest.approx(expected, rel=1e-6)


def test_many_small_arms_are_compared_by_draws():
    assert sample_ratio([2] * 9, [1] * 9).p_value == pytest.approx(1.0)
    assert sample_ratio([18, *[0] * 8], [1] * 9).alarm


@pytest.mark.parametrize(("units", "weight"), [(1000, 1e-4), (1000, 1e-3), (500, 0.01), (60, 0.1), (19, 0.5)])
def test_false_alarms_at_small_counts_stay_under_one_in_a_thousand(units, weight):
    splits = ([n, units - n] for n in range(units + 1))
    alarms = (binom.pmf(split[0], units, weight) for split in splits if sample_ratio(split, [weight, 1 - weight]).alarm)
    assert sum(alarms) <= 0.001  # Pearson's at 1 in 1,000 of 1,000 units: 0.019, at 1 in 10,000: 0.0047


@pytest.mark.parametrize(("weights", "daily"), [([1, 1], 200), ([9, 1], 40), ([99, 1], 100), ([2, 1, 1], 50)])
def test_false_alarms_under_daily_looks_stay_under_alpha(weights, daily):
    rng = np.random.default_rng(20261129)
    runs, days, alpha = 500, 30, 0.05
    shares = np.array(weights) / sum(weights)
    counts = rng.multinomial(daily, shares, (runs, days)).cumsum(1)
    ever = [
        any(
            sequential_sample_ratio(day, weights, planned_units=daily * days, alpha=alpha).p_value < alpha
            for day in run
        )
        for run in counts.tolist()
    ]
    each_look = [any(chisquare(day, sum(day) * shares).pvalue < alpha for day in run) for run in counts[:100].tolist()]
    assert np.mean(ever) <= alpha
    assert np.mean(each_look) > 3 * alpha  # what a check for one look would do


def test_lost_units_are_found_under_daily_looks():
    ratio = sequential_sample_ratio([821_588, 815_482], [0.5, 0.5], planned_units=2_000_000)
    assert ratio.alarm


@given(counts=st.lists(st.integers(0, 500), min_size=2, max_size=4), planned=st.floats(10, 1e6), data=st.data())
def test_the_sequential_p_is_the_share_of_likelihoods(counts, planned, data):
    weights = data.draw(st.lists(st.integers(1, 9), min_size=len(counts), max_size=len(counts)))
    assume(sum(counts))
    shares, alpha = np.array(weights) / sum(weights), 0.001
    latest = planned / (-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha)))

    def log_beta(a):
        return gammaln(a).sum() - gammaln(a.sum())

    bayes_factors = [
        np.exp(min(700, log_beta(k * shares + counts) - log_beta(k * shares) - np.log(shares) @ counts))
        for k in (max(1, latest / 8**power) for power in range(4))
    ]
    assume(max(bayes_factors) < 1e300)
    found = sequential_sample_ratio(counts, weights, planned_units=planned).p_value
    assert found == pytest.approx(min(1.0, 1 / np.mean(bayes_factors)), rel=1e-6, abs=1e-12)


def test_a_large_loss_is_found_long_before_the_planned_units():
    assert sequential_sample_ratio([240, 120], [1, 1], planned_units=40_000).alarm
    assert sequential_sample_ratio([1000, 780], [1, 1], planned_units=1_000_000).alarm


@pytest.mark.parametrize(("counts", "weights", "alarm", "unexpected", "words"), [
    ([5000, 5050], [5000, 5000], False, (), ""),
    ([9000, 1010], [0.9, 0.1], False, (), ""),
    ([5000, 5000, 0], [1, 1, 0], False, (), ""),
    ([5000, 5000, 1], [1, 1, 0], True, (2,), "weight zero"),     # a stopped arm still gets units
    ([100, 7], [1, 0], True, (1,), "weight zero"),
    ([100], [1], False, (), "no ratio to check"),
    ([0, 0], [1, 1], False, (), "no units yet"),
])  # fmt: skip
def test_a_sample_ratio_alarm(counts, weights, alarm, unexpected, words):
    for ratio in (sample_ratio(counts, weights), sequential_sample_ratio(counts, weights, planned_units=10_000)):
        assert (ratio.alarm, ratio.unexpected) == (alarm, unexpected)
        assert words in ratio.note


@pytest.mark.parametrize(
    ("counts", "weights", "named"), [([1, 2], [1], "counts"), ([-1, 2], [1, 1], "counts"), ([1, 2], [1, -1], "weights")]
)
def test_impossible_counts_are_refused_by_argument(counts, weights, named):
    with pytest.raises(ValueError, match=named):
        sample_ratio(counts, weights)


def test_a_sequential_check_needs_planned_units():
    with pytest.raises(ValueError, match="planned_units 0"):
        sequential_sample_ratio([1, 2], [1, 1], planned_units=0)
