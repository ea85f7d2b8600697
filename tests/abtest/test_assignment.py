"""Assignment: the same unit sees the same arm, evenly, whatever else runs."""

from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from abtest.assignment import BUCKETS, Arm, ExperimentPlan, assign, bucket

UNITS = [f"user-{i}" for i in range(20_000)]
salts = st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), min_size=1, max_size=20)


def a_plan(
    *weights: int, low: int = 0, high: int = BUCKETS, salt: str = "relate-1", layer_salt: str = "search"
) -> ExperimentPlan:
    arms = tuple(Arm(f"arm-{i}", f"policy-{i}", weight) for i, weight in enumerate(weights or (5000, 5000)))
    return ExperimentPlan(layer_salt, salt, low, high, arms)


@pytest.mark.parametrize(("salt", "unit_id", "expected"), [
    ("relate-1", "user-1", 3572), ("relate-1", "user-2", 2393), ("relate-2", "user-1", 1158), ("relate-1", "a:b", 5866),
    ("relate-1", "用户甲", 3257), ("实验一", "用户甲", 9323), ("relate-1", "ユーザー7", 3904), ("relate-1", "", 9489),
])  # fmt: skip
def test_a_bucket_is_frozen_for_ever(salt, unit_id, expected):
    assert bucket(salt, unit_id) == expected


@given(salt=salts, unit_id=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_bucket_is_the_hash_as_published(salt, unit_id):
    hashed = int(sha256(salt.encode() + b":" + unit_id.encode()).hexdigest()[:16], 16)
    assert bucket(salt, unit_id) == hashed * 10_000 // 2**64


def test_buckets_are_uniform():
    counts = Counter(bucket("layer", unit) // 100 for unit in UNITS)
    assert chisquare([counts[i] for i in range(100)]).pvalue > 1e-4


def test_buckets_under_two_salts_are_independent():
    joint = Counter((bucket("one", unit) // 1000, bucket("two", unit) // 1000) for unit in UNITS)
    assert chisquare([joint[i, j] for i in range(10) for j in range(10)]).pvalue > 1e-4


def test_a_salt_with_a_colon_is_refused():
    with pytest.raises(ValueError, match="colon"):
        bucket("search:ads", "user-1")


@pytest.mark.parametrize("weights", [(5000, 5000), (9000, 1000), (3334, 3333, 3333), (1, 9999)])
def test_arms_get_their_weights(weights):
    counts = Counter(assign(a_plan(*weights), unit) for unit in UNITS)
    assert (
        chisquare([counts[f"arm-{i}"] for i in range(len(weights))], [len(UNITS) * w / BUCKETS for w in weights]).pvalue
        > 1e-4
    )


@pytest.mark.parametrize("weights", [(0, 10_000), (10_000, 0), (5000, 0, 5000)])
def test_an_arm_of_weight_zero_gets_nobody(weights):
    empty = f"arm-{weights.index(0)}"
    assert empty not in {assign(a_plan(*weights), unit) for unit in UNITS}


@given(narrow=st.integers(0, BUCKETS), wide=st.integers(0, BUCKETS))
def test_ramping_up_moves_nobody(narrow, wide):
    narrow, wide = sorted((narrow, wide))
    before, after = a_plan(high=narrow), a_plan(high=wide)
    assert all(assign(before, unit) in (None, assign(after, unit)) for unit in UNITS[:50])


def test_experiments_of_one_layer_exclude_each_other():
    first, second = a_plan(high=5000), a_plan(low=5000, salt="relate-2")
    assert all((assign(first, unit) is None) != (assign(second, unit) is None) for unit in UNITS)


def test_coverage_does_not_decide_the_arm():
    covered = Counter(assign(a_plan(high=2000), unit) for unit in UNITS)
    assert chisquare([covered["arm-0"], covered["arm-1"]]).pvalue > 1e-4


def test_no_coverage_is_no_arm():
    assert {assign(a_plan(low=500, high=500), unit) for unit in UNITS[:100]} == {None}


@pytest.mark.parametrize(("wrong", "rule"), [
    ({"low": -1}, "range"), ({"high": 10_001}, "range"), ({"low": 6000, "high": 5000}, "range"),
    ({"salt": "a:b"}, "colon"), ({"layer_salt": ""}, "non-empty"), ({"salt": "search"}, "layer's salt"),
])  # fmt: skip
def test_an_impossible_plan_is_refused_by_name(wrong, rule):
    with pytest.raises(ValueError, match=rule):
        a_plan(**wrong)


@pytest.mark.parametrize(("arms", "rule"), [
    ((), "sum to 0"), ((Arm("control", "base", 4000), Arm("relate", "r1", 5000)), "sum to 9000"),
    ((Arm("control", "base", 5000), Arm("control", "r1", 5000)), "repeat"),
])  # fmt: skip
def test_impossible_arms_are_refused_by_name(arms, rule):
    with pytest.raises(ValueError, match=rule):
        ExperimentPlan("search", "relate-1", 0, BUCKETS, arms)


@pytest.mark.parametrize(("name", "weight"), [("", 100), ("control", -1), ("control", 10_001)])
def test_an_impossible_arm_is_refused_by_name(name, weight):
    with pytest.raises(ValueError, match=r"name|weight"):
        Arm(name, "base", weight)
