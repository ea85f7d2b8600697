"""Units of one arm for the tests: impressions x and conversions y per unit, and their sums taken the long way."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from abtest.sums import UnitSums


def sums_of(x, y) -> UnitSums:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    return UnitSums(
        len(x), *(float(total) for total in (x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()))
    )


def trials(successes: int, n: int) -> UnitSums:
    """n units of one trial each."""
    return UnitSums(n, n, successes, n, successes, successes)


@st.composite
def units(draw, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Units that differ in impressions and in propensity."""
    n = draw(st.integers(least, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = rng.geometric(draw(st.floats(0.1, 0.9)), n)
    return x, rng.binomial(x, rng.beta(draw(st.floats(0.3, 5)), 2, n))
