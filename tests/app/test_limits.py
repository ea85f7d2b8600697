"""Rates of keys: a token bucket each, under a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.rate_limit import RateLimits


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def limits(default: float = 10.0) -> tuple[RateLimits, Clock]:
    clock = Clock()
    return RateLimits(default, clock), clock


@pytest.mark.parametrize(("rate", "burst", "wait_s"), [(None, 10, 0.1), (4.0, 4, 0.25), (0.5, 1, 2.0)])
def test_a_key_may_spend_one_second_of_its_rate_at_once(rate, burst, wait_s):
    buckets, _ = limits(10.0)
    assert [buckets.take(1, rate) for _ in range(burst)] == [0] * burst
    assert buckets.take(1, rate) == pytest.approx(wait_s)


def test_keys_do_not_share_a_bucket():
    buckets, _ = limits(1.0)
    assert (buckets.take(1, None), buckets.take(2, None)) == (0, 0)
    assert buckets.take(1, None) > 0


@given(st.floats(0.01, 1000), st.integers(1, 50))
def test_waiting_as_long_as_told_is_always_enough(rate, calls):
    buckets, clock = limits(rate)
    for _ in range(calls):
        if wait := buckets.take(1, None):
            clock.now += wait * (1 + 1e-9)
            assert buckets.take(1, None) == 0


@given(st.floats(0.5, 100), st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_no_pattern_of_calls_gets_more_than_the_rate_and_one_burst(rate, gaps):
    buckets, clock = limits(rate)
    granted = 0
    for gap in gaps:
        clock.now += gap
        granted += buckets.take(1, None) == 0
    assert granted <= max(rate, 1) + rate * clock.now + 1e-6


def test_an_idle_key_saves_up_no_more_than_one_burst():
    buckets, clock = limits(5.0)
    clock.now = 3600.0
    assert sum(buckets.take(1, None) == 0 for _ in range(100)) == 5
