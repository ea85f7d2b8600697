"""What may be said of two arms: words that promise no more than the statistics do."""

from __future__ import annotations

import pytest

from abtest.lift import Lift
from abtest.stats import UnitSums
from abtest.verdict import compare_arms, interval, percent, verdict


def an_arm(units: int, conversions: int) -> UnitSums:
    """Units with one impression each, some of which convert."""
    return UnitSums(units, units, conversions, units, conversions, conversions)


@pytest.mark.parametrize(
    ("control", "treatment", "final", "alarm", "status", "sentence"),
    [
        ((50_000, 2500), (50_000, 3000), True, False, "better", "relate is better: CTCVR +20 % (+14 % to +26 %)."),
        ((50_000, 2500), (50_000, 2000), True, False, "worse", "relate is worse: CTCVR −20 % (−24 % to −15 %)."),
        ((50_000, 2500), (50_000, 2510), True, False, "no_clear_difference", "No clear difference, −4.9 % to +6 %."),
        (
            (50_000, 2500),
            (50_000, 2510),
            False,
            False,
            "no_clear_difference",
            "No clear difference yet, −7.7 % to +9.2 %.",
        ),
        (
            (50_000, 2500),
            (50_000, 2650),
            False,
            False,
            "leaning_better",
            "relate leans better, not safe to stop on yet: CTCVR +6 % (−",
        ),
        (
            (50_000, 2500),
            (50_000, 3000),
            True,
            True,
            "withheld",
            "No verdict: units did not fall into the arms as configured",
        ),
        (
            (500, 4),
            (500, 9),
            True,
            False,
            "too_early",
            "Too early to say: under 10 effective conversions in an arm. The exact interval: −",
        ),
        (
            (500, 0),
            (500, 9),
            True,
            False,
            "too_early",
            "Too early to say: under 10 effective conversions in an arm. The exact interval: +",
        ),
        ((500, 20), (500, 30), True, False, "no_clear_difference", "No clear difference, −"),
        (
            (0, 0),
            (0, 0),
            False,
            False,
            "nothing_to_compare",
            "Nothing to compare yet: treatment has nothing to count yet",
        ),
    ],
)
def test_a_verdict_says_what_the_deciding_test_says(control, treatment, final, alarm, status, sentence):
    (comparison,) = compare_arms([an_arm(*treatment)], an_arm(*control), planned_units=100_000)
    said = verdict(comparison, name="relate", final=final, alarm=alarm)
    assert said.status == status
    assert said.sentence.startswith(sentence)
    assert "no effect" not in said.sentence.lower()


def test_few_conversions_carry_a_tag():
    (comparison,) = compare_arms([an_arm(500, 30)], an_arm(500, 20), planned_units=1000)
    assert verdict(comparison, name="relate", final=True, alarm=False).sentence.endswith("read with care.")


def test_an_arm_that_wins_alone_need_not_win_among_many():
    control, winner, same = an_arm(10_000, 500), an_arm(10_000, 565), an_arm(10_000, 500)
    (alone,) = compare_arms([winner], control, planned_units=20_000)
    among = compare_arms([winner, same, same, same], control, planned_units=50_000)
    assert verdict(alone, name="文案", final=True, alarm=False).status == "better"
    assert verdict(among[0], name="文案", final=True, alarm=False).status == "no_clear_difference"
    assert among[0].adjusted_p == pytest.approx(4 * among[0].shown.p_value)


@pytest.mark.parametrize(
    ("change", "text"),
    [(0.0919, "+9.2 %"), (-0.03, "−3 %"), (0.0, "0 %"), (-0.0001, "0 %"), (0.345, "+34 %"), (12.5, "+1,250 %")],
)
def test_changes_read_as_people_write_them(change, text):
    assert percent(change) == text


def test_an_open_interval_says_so():
    lift = Lift(0.1, 0.02, None, 0.1, None, 0.001, 0.001, "exact")
    assert interval(lift) == "+2 % to no upper limit"
