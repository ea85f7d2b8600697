"""Sums: they add over units, ignore their order, and refuse what no units can have."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from units import sums_of, units

from abtest.lift import ratio_lift
from abtest.sums import FunnelSums, UnitSums, funnel_sums


def as_tuple(sums):
    return [getattr(sums, name) for name in sums.__dataclass_fields__]


def a_funnel(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    impressions = rng.poisson(3, n) + 1
    clicks = rng.binomial(impressions, 0.4)
    return impressions, clicks, rng.binomial(clicks, 0.5)


@given(first=units(), second=units())
def test_sums_of_two_sets_of_units_are_the_sums_of_their_union(first, second):
    union = sums_of(np.concatenate((first[0], second[0])), np.concatenate((first[1], second[1])))
    assert as_tuple(sums_of(*first) + sums_of(*second)) == pytest.approx(as_tuple(union))


@given(arm=units(), seed=st.integers(0, 1000))
def test_the_order_of_units_does_not_matter(arm, seed):
    order = np.random.default_rng(seed).permutation(len(arm[0]))
    assert sums_of(arm[0][order], arm[1][order]).ratio_variance == pytest.approx(sums_of(*arm).ratio_variance)


@given(arm=units())
def test_the_variance_of_a_ratio_is_that_of_its_residuals(arm):
    x, y = arm
    residual = y - y.sum() / x.sum() * x
    assert sums_of(x, y).ratio_variance == pytest.approx(residual.var(ddof=1) / len(x) / x.mean() ** 2, abs=1e-12)


@given(arm=units(), factor=st.floats(0.01, 100))
def test_a_ratio_and_its_spread_scale_with_the_currency(arm, factor):
    x, y = arm
    scaled, plain = sums_of(x, factor * y), sums_of(x, y)
    assert scaled.ratio == pytest.approx(factor * plain.ratio)
    assert scaled.ratio_variance == pytest.approx(factor**2 * plain.ratio_variance, rel=1e-6, abs=1e-12)
    assert (scaled.ratio_variance == 0) == (plain.ratio_variance == 0)


def test_conversions_of_independent_trials_count_fully():
    assert sums_of([1] * 10_000, [1] * 40 + [0] * 9_960).effective_conversions == pytest.approx(40, rel=0.01)
    assert sums_of([1] * 10_000, [1] * 40 + [0] * 9_960).design_effect == pytest.approx(1, rel=0.001)


def test_conversions_that_come_together_count_less():
    together = sums_of([4] * 1000, [4] * 10 + [0] * 990)  # ten units convert on each of four impressions
    assert together.effective_conversions == pytest.approx(10, rel=0.02)
    assert together.design_effect == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize(("sums", "ratio", "variance"), [
    (UnitSums(0, 0, 0, 0, 0, 0), None, None),
    (UnitSums(1, 4, 1, 16, 1, 4), 0.25, None),                     # one unit has no spread
    (UnitSums(9, 9, 3, 9, math.nan, math.nan), 1 / 3, None),       # the source kept no squares
    (UnitSums(2, 2, 2, 2, 2, 2), 1.0, 0.0),
])  # fmt: skip
def test_what_sums_cannot_say_is_none(sums, ratio, variance):
    assert (sums.ratio, sums.ratio_variance) == (ratio, variance)


@pytest.mark.parametrize(("change", "named"), [
    ({"n": -1}, "n -1"), ({"n": 2.5}, "n 2.5"), ({"n": math.nan}, "n nan"), ({"n": math.inf}, "n inf"),
    ({"sum_x": -1}, "sum_x"), ({"sum_y": -3}, "sum_y"), ({"sum_y": math.nan}, "sum_y"),
    ({"sum_x": math.inf}, "sum_x"), ({"sum_xy": -1}, "sum_xy"), ({"sum_xx": 5}, "sum_xx"), ({"sum_yy": 0.1}, "sum_yy"),
    ({"sum_xy": 1000}, "sum_xy"), ({"n": 0}, "no units"),
])  # fmt: skip
def test_impossible_sums_are_refused_by_argument(change, named):
    possible = {"n": 10, "sum_x": 20, "sum_y": 4, "sum_xx": 48, "sum_yy": 6, "sum_xy": 11}
    assert UnitSums(**possible).ratio == 0.2
    with pytest.raises(ValueError, match=named):
        UnitSums(**possible | change)


def test_an_impossible_funnel_is_refused_by_argument():
    with pytest.raises(ValueError, match="clicks -1"):
        FunnelSums(3, 6, -1, 0, 14, 1, 0, 3, 0, 0)


def test_conversions_without_clicks_have_a_ctcvr_and_no_cvr():
    sums = FunnelSums(100, 300, 0, 5, 1000, 0, 5, 0, 17, 0)
    assert sums.ctcvr.ratio == pytest.approx(5 / 300)
    assert (sums.cvr.ratio, sums.log_covariance) == (None, None)
    lift = ratio_lift(sums.cvr, sums.cvr)
    assert (lift.value, lift.note) == (None, "treatment has nothing to count yet")


@given(seed=st.integers(0, 10_000))
def test_the_funnel_splits_the_variance_of_ln_ctcvr(seed):
    i, c, v = a_funnel(np.random.default_rng(seed), 60)
    sums = funnel_sums(["a"] * 60, i, c, v)["a"]
    relative = [part.ratio_variance / part.ratio**2 for part in (sums.ctr, sums.cvr, sums.ctcvr)]
    assert relative[0] + relative[1] + 2 * sums.log_covariance == pytest.approx(relative[2])
    assert sums.ctr.ratio * sums.cvr.ratio == pytest.approx(sums.ctcvr.ratio)


@pytest.mark.parametrize("column", [
    np.array,
    pa.array,
    lambda values: pa.chunked_array([values[:7], values[7:900], values[900:]]),
])  # fmt: skip
def test_sums_from_columns_are_those_of_each_arms_units(column):
    rng = np.random.default_rng(1)
    i, c, v = a_funnel(rng, 1000)
    arms = rng.choice(["对照组", "relate", "チャレンジャー"], 1000)
    found = funnel_sums(column(arms.tolist()), column(i), column(c), column(v))
    assert set(found) == set(arms)
    for name, sums in found.items():
        mine = arms == name
        assert sums.ctr == sums_of(i[mine], c[mine])
        assert sums.cvr == sums_of(c[mine], v[mine])
        assert sums.ctcvr == sums_of(i[mine], v[mine])


def test_an_arm_column_may_be_encoded_and_batched():
    i, c, v = a_funnel(np.random.default_rng(2), 200_000)
    arms = pa.array(["control", "relate"] * 100_000).dictionary_encode()
    assert funnel_sums(arms, i, c, v) == funnel_sums(arms.to_pylist(), i, c, v)


def test_an_arm_that_is_only_in_the_dictionary_has_no_sums():
    arms = pa.DictionaryArray.from_arrays([0, 0], ["control", "relate"])
    assert set(funnel_sums(arms, [1, 1], [0, 1], [0, 0])) == {"control"}


def test_a_column_with_nulls_is_refused_by_name():
    with pytest.raises(ValueError, match="clicks holds 1 null"):
        funnel_sums(["a", "a"], [1, 2], pa.array([None, 1]), [0, 0])
