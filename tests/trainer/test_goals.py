"""A goal is met by its value, or, where it must be met surely, by the worse end of its interval."""

from __future__ import annotations

import json

import pytest

from benchmarks.goals import Goal, as_records


@pytest.mark.parametrize(
    ("rule", "value", "low", "high", "sure", "met"),
    [
        ("at least", 0.5, None, None, False, True),
        ("at least", 0.49, None, None, False, False),
        ("at least", 0.6, 0.4, 0.8, False, True),
        ("at least", 0.6, 0.4, 0.8, True, False),
        ("at most", 0.4, 0.3, 0.6, False, True),
        ("at most", 0.4, 0.3, 0.6, True, False),
        ("above", 0.6, 0.5, 0.8, True, False),
        ("at most", float("nan"), None, None, False, False),  # what could not be measured is not met
    ],
)
def test_a_goal_is_judged_by_its_rule(rule, value, low, high, sure, met) -> None:
    goal = Goal("figure", value, rule, 0.5, low, high, sure)
    assert goal.met is met
    assert json.loads(json.dumps(as_records([goal])))[0]["met"] is met
