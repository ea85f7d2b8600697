"""Around the lift: many comparisons, the parts of the funnel, guardrails."""

from math import log1p

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from units import sums_of, trials, units

import abtest
from abtest import stats
from abtest.stats import (
    FunnelSums,
    benjamini_hochberg,
    funnel_sums,
    holm,
    non_inferiority,
    ratio_lift,
)

arms = units(least=20).map(lambda unit: sums_of(*unit))
p_values = st.lists(st.floats(0, 1), max_size=12)


def test_adjusted_p_values_are_those_of_r():
    ps = (0.01, 0.04, 0.03, 0.005)  # p.adjust(c(.01, .04, .03, .005), "holm") and "BH"
    assert holm(ps) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert benjamini_hochberg(ps) == pytest.approx((0.02, 0.04, 0.04, 0.02))


@given(ps=p_values)
def test_false_discovery_rejects_as_its_steps_do(ps):
    alpha = 0.0317
    ranked = enumerate(sorted(ps), start=1)
    largest = max((rank for rank, p in ranked if p <= alpha * rank / len(ps)), default=0)
    assert sum(p <= alpha for p in benjamini_hochberg(ps)) == largest


@given(ps=p_values, alpha=st.floats(0.001, 0.2))
def test_holm_rejects_as_its_steps_do(ps, alpha):
    steps = sorted((p, i) for i, p in enumerate(ps))
    rejected = set()
    for rank, (p, i) in enumerate(steps):
        if p * (len(ps) - rank) > alpha:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(holm(ps)) if p <= alpha} == rejected


@given(ps=p_values)
def test_an_adjusted_p_value_is_no_smaller_and_holm_is_the_stricter(ps):
    discovery, familywise = np.array(benjamini_hochberg(ps)), np.array(holm(ps))
    assert (np.array(ps) <= discovery + 1e-12).all()
    assert (discovery <= familywise + 1e-12).all()


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(adjust, wrong):
    with pytest.raises(ValueError, match="ps holds"):
        adjust([0.5, wrong])


def a_funnel(seed: int, ctr: float, cvr: float) -> FunnelSums:
    rng = np.random.default_rng(seed)
    impressions = rng.geometric(0.2, 500)
    clicks = rng.binomial(impressions, rng.beta(5 * ctr, 5 * (1 - ctr), 500))
    return funnel_sums(["a"] * 500, impressions, clicks, rng.binomial(clicks, cvr))["a"]


@given(seed=st.integers(0, 10_000))
def test_the_parts_of_the_funnel_add_up_to_the_whole(seed):
    treatment, control = a_funnel(seed, 0.25, 0.4), a_funnel(seed + 1, 0.2, 0.5)
    ctr, cvr, ctcvr = (
        ratio_lift(getattr(treatment, part), getattr(control, part), method="log") for part in ("ctr", "cvr", "ctcvr")
    )
    assert log1p(ctr.value) + log1p(cvr.value) == pytest.approx(log1p(ctcvr.value))
    variances = [((log1p(part.high) - log1p(part.low)) / 2 / 1.959964) ** 2 for part in (ctr, cvr, ctcvr)]
    covariance = treatment.log_covariance + control.log_covariance
    assert variances[0] + variances[1] + 2 * covariance == pytest.approx(variances[2], rel=1e-5)


@given(treatment=arms, control=arms, margin=st.floats(0.01, 0.5), lower_is_better=st.booleans())
def test_a_guardrail_holds_when_the_interval_is_on_the_right_side_of_the_margin(
    treatment, control, margin, lower_is_better
):
    guard = non_inferiority(treatment, control, margin=margin, lower_is_better=lower_is_better)
    assume(guard.lift.low is not None and abs(guard.p_value - 0.025) > 1e-9)
    assert guard.passed == (guard.lift.high < margin if lower_is_better else guard.lift.low > -margin)
    assert guard.lift == ratio_lift(treatment, control)


@pytest.mark.parametrize(("of_treatment", "of_control", "lower_is_better", "passed"), [
    (99_500, 100_000, False, True), (90_000, 100_000, False, False), (110_000, 100_000, False, True),
    (100_500, 100_000, True, True), (110_000, 100_000, True, False), (90_000, 100_000, True, True),
])  # fmt: skip
def test_two_percent_worse_is_allowed(of_treatment, of_control, lower_is_better, passed):
    guard = non_inferiority(
        trials(of_treatment, 200_000), trials(of_control, 200_000), margin=0.02, lower_is_better=lower_is_better
    )
    assert guard.passed == passed


def test_a_guardrail_without_data_has_not_passed():
    guard = non_inferiority(trials(0, 10), trials(0, 10), margin=0.02)
    assert (guard.passed, guard.p_value) == (False, None)
    assert "neither arm has a conversion" in guard.note


@pytest.mark.parametrize("wrong", [{"margin": 0}, {"margin": 2}, {"alpha": 0}, {"alpha": 0.5}])
def test_a_wrong_guardrail_is_refused_by_argument(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        non_inferiority(trials(5, 10), trials(5, 10), **{"margin": 0.02} | wrong)


@pytest.mark.parametrize("module", [abtest, stats])
def test_public_names_exist(module):
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
