"""Terms together: each counted once, in the sentence reward or on tokens; what is no score stops the run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainer.config
from adtext.fold import Span
from tests.trainer.samples import GOOD, a_sample
from trainer.config import ConfigError, GrpoConfig, from_mapping, load_config
from trainer.rewards import Charge, RewardError, Rewards, Sample, Term


class Fixed(Term):
    """A term that scores what it was told to, and charges the first three characters of a title."""

    def __init__(self, *scores: float) -> None:
        self._scores = scores

    def score(self, samples: Sequence[Sample]) -> np.ndarray:
        return np.array(self._scores)

    def charges(self, sample: Sample) -> list[Charge]:
        return [Charge({"title": (Span(0, 3),)}, share=0.5)]


class Broken(Fixed):
    def score(self, samples: Sequence[Sample]) -> np.ndarray:
        raise KeyError("no such industry")


TWO = [a_sample(GOOD), a_sample(GOOD)]


def test_the_sentence_reward_is_the_weighted_mean_of_its_terms():
    rewards = Rewards(
        {"length": Fixed(1.0, 0.0), "ctcvr": Fixed(0.2, 0.8), "risk": Fixed(0.0, 1.0)},
        {"length": 0.5, "ctcvr": 1.0},
        {"risk": 2.0},
    )
    scored = rewards.score(TWO)
    assert scored.sentence == pytest.approx([(0.5 * 1 + 0.2) / 1.5, 0.8 / 1.5])
    assert scored.terms["risk"].tolist() == [0.0, 1.0]  # watched, though it acts on tokens
    assert scored.charges == (((({"title": (Span(0, 3),)}), 1.0),),) * 2  # λ = 2, half of it


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2), st.floats(0.01, 5), st.floats(0.01, 5))
def test_the_sentence_reward_stays_within_its_terms(scores, first, second):
    rewards = Rewards(
        {"length": Fixed(*scores), "format": Fixed(*reversed(scores))}, {"length": first, "format": second}, {}
    )
    sentence = rewards.score(TWO).sentence
    assert (sentence >= min(scores) - 1e-12).all() and (sentence <= max(scores) + 1e-12).all()


def test_multipliers_scale_the_penalties():
    rewards = Rewards({"length": Fixed(1.0, 1.0), "risk": Fixed(1.0, 1.0)}, {"length": 1.0}, {"risk": 2.0})
    assert rewards.score(TWO, {"risk": 3.0}).charges[0][0][1] == pytest.approx(3.0)


def test_the_spread_inside_a_group_says_which_term_steers():
    rewards = Rewards({"length": Fixed(1.0, 1.0), "ctcvr": Fixed(0.0, 1.0)}, {"length": 1.0, "ctcvr": 1.0}, {})
    spread = rewards.spread_within(rewards.score(TWO), 2)
    assert spread == pytest.approx({"length": 0.0, "ctcvr": 0.5 * np.sqrt(0.5)})


@pytest.mark.parametrize(
    ("term", "said"),
    [
        (Broken(), r"reward ctcvr failed on 2 texts \(KeyError: 'no such industry'\)"),
        (Fixed(0.5, float("nan")), "reward ctcvr gave nan"),
        (Fixed(0.5, 1.5), r"reward ctcvr gave 1.5 to .* scores lie in \[0, 1\]"),
    ],
)
def test_a_reward_that_fails_stops_the_run_with_one_line(term, said):
    with pytest.raises(RewardError, match=said) as raised:
        Rewards({"ctcvr": term}, {"ctcvr": 1.0}, {}).score(TWO)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"terms": {"relevance": {"weight": 1.0, "level": "token"}}}, "terms.relevance.level 'token' is unknown"),
        ({"terms": {"length": {"weight": 1.0}, "charm": {"weight": 1.0}}}, "charm: no such reward term; there are len"),
        ({"terms": {}}, "no term at sentence level weighs more than 0"),
        ({"terms": {"length": {"weight": 0}}}, "no term at sentence level weighs more than 0"),
        ({"terms": {"risk": {"weight": -1.0}}}, "terms.risk.weight -1.0 must be at least 0"),
        ({"terms": {"risk": {}}}, "terms.risk.weight must be set"),
        ({"terms": {"risk": {"weight": 1.0, "kappa": 1.0}}}, "kappa: no such setting; there are weight, level"),
        ({"terms": {"length": {"weight": 1.0, "fill": 1.0}}}, "terms.length.fill 1.0 must be less than 1"),
        ({"batch_size": 12}, "batch_size 12 must be a multiple of group_size 5"),
        ({"group_size": 1}, "group_size 1 must be at least 2"),
        ({"ranks": 2, "batch_size": 10}, "ranks 2 need engine: deepspeed"),
        ({"rollout": "magic"}, "rollout 'magic' is unknown: use hf or vllm"),
        ({"clip_low": 1.0}, "clip_low 1.0 must be less than 1"),
        ({"sampler_cap": 0.5}, "sampler_cap 0.5 must be at least 1"),
        ({"learning_rate": float("nan")}, "learning_rate nan is not a finite number"),
        ({"limits": {"kl": float("inf")}}, "limits.kl inf is not a finite number: give one, or null"),
        ({"constraints": "dual", "terms": {"length": {"weight": 1.0}}}, "constraints: dual scales the weights"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused_with_its_rule(changes, said):
    with pytest.raises(ConfigError, match=said):
        from_mapping(GrpoConfig, changes)


def test_an_override_inside_a_group_leaves_the_other_settings():
    terms = load_config(GrpoConfig, None, ["terms.diversity.weight=1.0", "terms.ctcvr.kappa=0"]).terms
    assert terms.weights("token") == {"correctness": 2.0, "risk": 2.0, "diversity": 1.0}
    assert terms.ctcvr is not None and (terms.ctcvr.weight, terms.ctcvr.kappa) == (1.0, 0.0)


CONFIGS = Path(trainer.config.__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("grpo_*.yaml")), ids=lambda path: path.stem)
def test_a_packaged_config_can_be_meant(path):
    assert load_config(GrpoConfig, path).steps > 0


def test_the_five_configurations_add_one_component_each():
    """RELATE table 2."""
    models = [
        load_config(GrpoConfig, CONFIGS / f"grpo_{name}.yaml")
        for name in ("model1", "model2", "model3", "model4", "relate")
    ]
    sentence, token = ([model.terms.weights(level) for model in models] for level in ("sentence", "token"))
    added = [b.keys() - a.keys() for a, b in pairwise(sentence[:4])]
    assert sentence[0].keys() == {"length", "format"}
    assert added == [{"ctcvr"}, {"diversity"}, {"relevance", "correctness", "risk"}]
    assert not any(token[:4]) and token[4].keys() == {"diversity", "risk", "correctness"}
    assert sentence[4].keys() | token[4].keys() == sentence[3].keys()
    assert len({frozenset(model.terms.configured()) for model in models}) == 1, "all are watched by the same curves"
