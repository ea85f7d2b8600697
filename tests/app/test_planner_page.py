"""The planner as its visitors get it."""

from __future__ import annotations

import httpx
import pytest
from page_visits import PLANNER, read

# ---- the planner


async def test_the_planner_answers_both_ways(analyst: httpx.AsyncClient) -> None:
    """20 % and +5 points need 1,091 units an arm, with the variance of the test."""
    query = "baseline_percent=20&lift_percent=25&units_a_day=110&impressions_per_unit=1&days=20"
    page = await read(analyst, f"{PLANNER}?{query}")
    assert "2,182 units in both arms together" in page
    assert "20 days of new units" in page
    assert "+25 % is the smallest lift that 20 days (2,200 units) would detect" in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("baseline_percent=0", "greater than or equal to"),
        ("baseline_percent=ten", "valid number"),
        ("lift_percent=-5", "greater than or equal to 0.01"),
        ("baseline_percent=60&lift_percent=100", "inside (0, 1)"),
        ("units_a_day=1.5", "valid integer"),
        ("units_a_day=10000000000", "less than or equal"),
        ("baseline_percent=nan", "finite number"),
    ],
)
async def test_a_plan_that_cannot_be_made_says_which_number_is_wrong(
    analyst: httpx.AsyncClient, query: str, said: str
) -> None:
    page = await read(analyst, f"{PLANNER}?{query}", 422)
    assert said in page
    assert "Answer" not in page


async def test_a_plan_for_the_impossible_still_answers(analyst: httpx.AsyncClient) -> None:
    page = await read(analyst, f"{PLANNER}?baseline_percent=0.0001&lift_percent=0.1&units_a_day=1&days=1")
    assert "days of new units" in page
