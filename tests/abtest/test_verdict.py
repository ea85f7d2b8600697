"""The verdict: which test decides, what one low arm allows, and words that promise no more than the statistics do."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from units import trials

from abtest.lift import Lift
from abtest.verdict import ALPHA, compare_arms, decision, interval, percent, verdict


def judged(control, treatment, *, final: bool, alarm: bool = False):
    """The verdict on conversions of 50,000 units with one impression each, unless (units, conversions) is given."""
    arms = [trials(*reversed(arm)) if isinstance(arm, tuple) else trials(arm, 50_000) for arm in (treatment, control)]
    (comparison,) = compare_arms(arms[:1], arms[1], planned_units=100_000)
    return comparison, verdict(comparison, name="relate", final=final, alarm=alarm)


@pytest.mark.parametrize(
    ("control", "treatment", "final", "status", "sentence"),
    [
        (2500, 3000, True, "better", "relate is better: CTCVR +20 % (+14 % to +26 %)."),
        (2500, 2000, True, "worse", "relate is worse: CTCVR −20 % (−24 % to −15 %)."),
        (2500, 3000, False, "better", "relate is better: CTCVR +20 % (+11 % to +30 %)."),
        (2500, 2510, True, "no_clear_difference", "No clear difference, −4.9 % to +6 %."),
        (2500, 2510, False, "no_clear_difference", "No clear difference yet, −7.7 % to +9.2 %."),
        (2500, 2650, False, "leaning_better", "relate leans better, not safe to stop on yet: CTCVR +6 % (−"),
        (2500, 2350, False, "leaning_worse", "relate leans worse, not safe to stop on yet: CTCVR −6 % (−"),
        ((500, 4), (500, 9), True, "too_early", "Too early to say: under 10 effective conversions in both arms."),
        ((500, 0), (500, 9), False, "too_early", "Too early to say: under 10 effective conversions in both arms."),
        ((500, 20), (500, 30), True, "no_clear_difference", "No clear difference, −"),
        ((0, 0), (0, 0), False, "nothing_to_compare", "Nothing to compare yet: treatment has nothing to count yet."),
        (0, 0, False, "nothing_to_compare", "Nothing to compare yet: neither arm has a conversion yet."),
    ],
)
def test_a_verdict_says_what_the_deciding_test_says(control, treatment, final, status, sentence):
    _, found = judged(control, treatment, final=final)
    assert found.status == status
    assert found.sentence.startswith(sentence)
    assert "no effect" not in found.sentence.lower()


# 2,500 against 2,640 gives p 0.045, against 2,630 p 0.062, against 2,620 p 0.085
@pytest.mark.parametrize(
    ("treatment", "status"), [(2640, "better"), (2630, "no_clear_difference"), (2620, "no_clear_difference")]
)
def test_the_fixed_interval_decides_at_five_percent(treatment, status):
    comparison, found = judged(2500, treatment, final=True)
    assert (found.status, found.decided_by) == (status, "fixed")
    assert (comparison.adjusted_p < ALPHA) == (status == "better")
    assert comparison.adjusted_p < 2 * ALPHA


# 2,500 against 2,720 gives the always-valid p 0.039, against 2,709 p 0.059, against 2,702 p 0.076
@pytest.mark.parametrize(
    ("treatment", "status"), [(2720, "better"), (2709, "leaning_better"), (2702, "leaning_better")]
)
def test_the_always_valid_interval_decides_at_five_percent(treatment, status):
    comparison, found = judged(2500, treatment, final=False)
    assert (found.status, found.decided_by) == (status, "always_valid")
    assert (comparison.adjusted_always_valid_p < ALPHA) == (status == "better")
    assert comparison.adjusted_always_valid_p < 2 * ALPHA


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize(
    ("control", "treatment", "status", "sentence"),
    [
        ((100_000, 2000), (100_000, 8), "worse", "relate is worse: CTCVR −100 % (−100 % to −99 %)."),
        ((100_000, 2000), (100_000, 0), "worse", "relate is worse: CTCVR −100 % (−100 % to −99 %)."),
        ((100_000, 30), (100_000, 3), "worse", "relate is worse: CTCVR −90 % (−99 % to −52 %)."),
        ((100_000, 25), (100_000, 9), "too_early", "Too early to say: under 10 effective conversions in relate."),
        ((100_000, 8), (100_000, 2000), "leaning_better", "relate leans better: CTCVR +24,900 % ("),
        ((100_000, 0), (100_000, 2000), "leaning_better", "relate leans better: CTCVR +18,723 % to no upper limit."),
        ((100_000, 9), (100_000, 14), "too_early", "Too early to say: under 10 effective conversions in control."),
    ],
)
def test_harm_is_declared_with_one_arm_low_and_a_win_is_not(control, treatment, status, sentence, final):
    _, found = judged(control, treatment, final=final)
    assert (found.status, found.decided_by) == (status, "always_valid")
    assert found.sentence.startswith(sentence)


@pytest.mark.parametrize("treatment", [3000, (100_000, 8)])
def test_an_alarm_withholds_every_verdict(treatment):
    _, found = judged(2500, treatment, final=True, alarm=True)
    assert found.status == "withheld"
    assert found.sentence.startswith("No verdict: units did not fall into the arms as configured")


def test_few_conversions_carry_a_warning():
    _, found = judged((500, 20), (500, 30), final=True)
    assert found.sentence.endswith("the interval is approximate.")


def test_an_arm_that_wins_alone_need_not_win_among_many():
    control, winner, same = trials(500, 10_000), trials(565, 10_000), trials(500, 10_000)
    (alone,) = compare_arms([winner], control, planned_units=20_000)
    among = compare_arms([winner, same, same, same], control, planned_units=50_000)
    assert verdict(alone, name="文案", final=True, alarm=False).status == "better"
    assert verdict(among[0], name="文案", final=True, alarm=False).status == "no_clear_difference"
    assert among[0].adjusted_p == pytest.approx(4 * among[0].shown.p_value)


def test_daily_looks_at_rare_conversions_keep_the_false_alarm_rate():
    """A/A with 20 looks from the first conversions to 25 an arm: through no arm, one arm and no arm low."""
    rng = np.random.default_rng(20261129)
    runs, looks, wrong = 1000, 20, 0
    for _ in range(runs):
        counts = np.cumsum(rng.poisson(25 / looks, (looks, 2)), axis=0)
        for look, (treatment, control) in enumerate(counts.tolist(), start=1):
            arms = (trials(treatment, 1000 * look), trials(control, 1000 * look))
            (comparison,) = compare_arms(arms[:1], arms[1], planned_units=40_000)
            if verdict(comparison, name="relate", final=False, alarm=False).status in ("better", "worse"):
                wrong += 1
                break
    assert wrong / runs <= ALPHA


@pytest.mark.parametrize(
    ("ended", "decided_on", "decided_by", "sentence"),
    [
        (
            False, None, "always_valid",
            "The always-valid interval decides until the 40,000 planned units are mature (12,030 so far, expected on "
            "2026-12-09), because the report may be read every day.",
        ),
        (
            True, None, "always_valid",
            "The always-valid interval decides: the phase ended with 12,030 of 40,000 planned units mature, and ending "
            "early never switches to the fixed interval.",
        ),
        (
            True, date(2026, 12, 1), "fixed",
            "The fixed interval decided once, on 2026-12-01, when the 40,000 planned units were mature; later data do "
            "not change the verdict.",
        ),
    ],
)  # fmt: skip
def test_one_sentence_says_which_interval_decides_and_until_when(ended, decided_on, decided_by, sentence):
    found = decision(
        planned_units=40_000, units=12_030, ended=ended, decided_on=decided_on, expected_on=date(2026, 12, 9)
    )
    assert (found.decided_by, found.sentence) == (decided_by, sentence)


@pytest.mark.parametrize(
    ("change", "text"),
    [(0.0919, "+9.2 %"), (-0.03, "−3 %"), (0.0, "0 %"), (-0.0001, "0 %"), (0.345, "+34 %"), (12.5, "+1,250 %")],
)
def test_changes_read_as_people_write_them(change, text):
    assert percent(change) == text


def test_an_open_interval_says_so():
    lift = Lift(0.1, 0.02, None, 0.1, None, 0.001, 0.001, "exact")
    assert interval(lift) == "+2 % to no upper limit"
