"""What RELATE must show over SFT, and the cheap ways to comply that must not pass for it."""

from __future__ import annotations

import pytest

from benchmarks.policy import relate_over_sft, sft_over_base
from trainer.bootstrap import Interval
from trainer.evaluation.compare import PolicyComparison
from trainer.evaluation.metrics import MEASURES

DIVERSITY = MEASURES["diversity"].label

SFT = {
    "compliance": 0.40,
    "diversity": 0.85,
    "held_out_reward_model": 0.0018,
    "relevance": 0.62,
    "format": 0.96,
    "distinct": 4.8,
    "copy": 0.01,
    "words": 10.0,
    "points": 0.05,
}
RELATE = SFT | {"compliance": 0.70, "diversity": 0.90, "held_out_reward_model": 0.0023, "relevance": 0.90, "words": 9.5}


def comparison(relate: dict[str, float], noise: float = 0.001) -> PolicyComparison:
    """SFT and another policy whose differences are known to ± noise of SFT's value."""
    exact = {
        name: (Interval(SFT[name], SFT[name], SFT[name]), Interval(value, value, value))
        for name, value in relate.items()
    }
    differences = {
        name: (
            Interval(0, 0, 0),
            Interval(value - SFT[name], value - (1 + noise) * SFT[name], value - (1 - noise) * SFT[name]),
        )
        for name, value in relate.items()
    }
    return PolicyComparison(("sft", "relate"), exact, differences, 26, (520, 520))


def short(relate: dict[str, float], noise: float = 0.001) -> list[str]:
    return [goal.figure for goal in relate_over_sft(comparison(relate, noise), 5) if not goal.met]


def test_a_policy_that_is_better_without_cheating_meets_every_goal():
    assert short(RELATE) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"words": 8.0}, "words per field, share of SFT's"),
        ({"points": 0.04}, "selling points mentioned, share of SFT's"),
        ({"copy": 0.3}, "low end of the rise of the copy rate"),
        ({"distinct": 3.0}, "distinct texts of 5"),
        ({"format": 0.90}, "RELATE over SFT: format"),
        ({"compliance": 0.48}, "rise of the Compliance Rate"),
        ({"held_out_reward_model": 0.0018}, "RELATE over SFT: predicted CTCVR, held-out reward model"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_cheap_way_to_comply_is_named(change, said):
    assert said in short(RELATE | change)


def test_compliance_of_nearly_all_texts_needs_no_further_rise():
    assert "rise of the Compliance Rate" not in {
        goal.figure for goal in relate_over_sft(comparison(RELATE | {"compliance": 0.985}), 5)
    }


def test_a_rise_inside_the_noise_is_no_rise():
    assert f"RELATE over SFT: {DIVERSITY}" in short(RELATE, noise=0.1)


def test_sft_itself_under_another_name_is_above_nothing():
    assert {"RELATE over SFT: Compliance Rate (eq. 11)", f"RELATE over SFT: {DIVERSITY}"} <= set(short(SFT, noise=0.0))


def test_without_the_names_nothing_is_claimed():
    other = PolicyComparison(("a", "b"), {}, {}, 1, (1, 1))
    assert not [*relate_over_sft(other, 5), *sft_over_base(other)]
