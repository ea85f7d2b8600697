"""tea-tasting is a library of its own for the same statistics: where both define a thing alike, they agree."""

import math

import numpy as np
import pytest
from units import sums_of

from abtest.lift import ratio_lift

tea_tasting = pytest.importorskip("tea_tasting")
aggregates = pytest.importorskip("tea_tasting.aggr").Aggregates


def an_arm(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n = rng.integers(50, 400)
    x = rng.geometric(rng.uniform(0.1, 0.9), n)
    return x, rng.binomial(x, rng.beta(2 * rng.uniform(0.2, 0.8), 1, n))


def described(x: np.ndarray, y: np.ndarray):
    covariance = np.cov(x, y)
    return aggregates(
        len(x),
        {"x": x.mean(), "y": y.mean()},
        {"x": covariance[0, 0], "y": covariance[1, 1]},
        {("x", "y"): covariance[0, 1]},
    )


def test_a_thousand_random_comparisons_agree():
    rng = np.random.default_rng(20261122)
    metric = tea_tasting.RatioOfMeans("y", "x", use_t=False, equal_var=False)
    for _ in range(1000):
        treatment, control = an_arm(rng), an_arm(rng)
        theirs = metric.analyze_aggregates(described(*control), described(*treatment))
        fieller, log = (
            ratio_lift(sums_of(*treatment), sums_of(*control), method=method) for method in ("fieller", "log")
        )
        ours = (fieller.value, fieller.difference, fieller.z, fieller.p_value, log.low, log.high)
        assert ours == pytest.approx(
            (theirs.rel_effect_size, theirs.effect_size, theirs.statistic, theirs.pvalue,
             theirs.rel_effect_size_ci_lower, theirs.rel_effect_size_ci_upper), rel=1e-6, abs=1e-9,
        )  # fmt: skip
        assert fieller.se == pytest.approx(
            (theirs.effect_size_ci_upper - theirs.effect_size) / 1.959963984540054, rel=1e-6
        )
        assert not math.isnan(theirs.pvalue)
