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
from trainer.config import ConfigError, GrpoConfig, load_config
from trainer.rewards.base import Charge, Sample
from trainer.rewards.combine import RewardError, Rewards


class Fixed:
    """A term that scores what it was told to, and charges the first three characters of a title."""

    def __init__(self, name: str, *scores: float) -> None:
        self.name, self._scores = name, scores

    def scores(self, samples: Sequence[Sample]) -> np.ndarray:
        return np.array(self._scores)

    def charges(self, sample: Sample) -> list[Charge]:
        return [Charge({"title": (Span(0, 3),)}, share=0.5)]


class Broken(Fixed):
    def scores(self, samples: Sequence[Sample]) -> np.ndarray:
        raise KeyError("no such industry")


TWO = [a_sample(GOOD), a_sample(GOOD)]


def test_the_sentence_reward_is_the_weighted_mean_of_its_terms():
    rewards = Rewards(
        [Fixed("length", 1.0, 0.0), Fixed("ctcvr", 0.2, 0.8), Fixed("risk", 0.0, 1.0)],
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
        [Fixed("length", *scores), Fixed("format", *reversed(scores))], {"length": first, "format": second}, {}
    )
    sentence = rewards.score(TWO).sentence
    assert (sentence >= min(scores) - 1e-12).all() and (sentence <= max(scores) + 1e-12).all()


def test_multipliers_scale_the_penalties():
    rewards = Rewards([Fixed("length", 1.0, 1.0), Fixed("risk", 1.0, 1.0)], {"length": 1.0}, {"risk": 2.0})
    assert rewards.score(TWO, {"risk": 3.0}).charges[0][0][1] == pytest.approx(3.0)


def test_the_spread_inside_a_group_says_which_term_steers():
    rewards = Rewards([Fixed("length", 1.0, 1.0), Fixed("ctcvr", 0.0, 1.0)], {"length": 1.0, "ctcvr": 1.0}, {})
    spread = rewards.spread_within(rewards.score(TWO), 2)
    assert spread == pytest.approx({"length": 0.0, "ctcvr": 0.5 * np.sqrt(0.5)})


@pytest.mark.parametrize(
    ("term", "said"),
    [
        (Broken("ctcvr"), r"reward ctcvr failed on 2 texts \(KeyError: 'no such industry'\)"),
        (Fixed("ctcvr", 0.5, float("nan")), "reward ctcvr gave nan"),
        (Fixed("ctcvr", 0.5, 1.5), r"reward ctcvr gave 1.5 to .* scores lie in \[0, 1\]"),
    ],
)
def test_a_reward_that_fails_stops_the_run_with_one_line(term, said):
    with pytest.raises(RewardError, match=said) as raised:
        Rewards([term], {"ctcvr": 1.0}, {}).score(TWO)
    assert "\n" not in str(raised.value)


def test_a_weighted_term_that_nothing_computes_is_refused():
    with pytest.raises(RewardError, match="ctcvr: weighted in the config"):
        Rewards([Fixed("length", 1.0)], {"length": 1.0, "ctcvr": 1.0}, {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sentence_terms": {"length": 1.0, "risk": 1.0}}, "risk: at sentence level and at token level"),
        (
            {"sentence_terms": {"length": 1.0}, "token_terms": {"relevance": 1.0}},
            "relevance: known of a whole text only",
        ),
        ({"sentence_terms": {"charm": 1.0}}, "charm: no such reward term"),
        ({"sentence_terms": {}}, "sentence_terms hold no weight above 0"),
        ({"token_terms": {"risk": -1.0}}, "must not be negative"),
        ({"batch_size": 12}, "batch_size 12 must be a multiple of group_size 5"),
        ({"group_size": 1}, "group_size 1 leaves nothing to compare"),
        ({"ranks": 2, "batch_size": 10}, "ranks 2 need engine: deepspeed"),
        ({"rollout": "magic"}, "rollout 'magic' is unknown: use one of hf, vllm"),
        ({"clip_low": 1.0}, "clip_low 1.0 must lie in"),
        ({"sampler_cap": 0.5}, "sampler_cap 0.5 would weigh every token less"),
        ({"length_fill": 1.0}, "length_fill 1.0 is a share of a field's max"),
        ({"constraints": "dual", "token_terms": {}}, "constraints: dual scales the penalties"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused_with_its_rule(changes, said):
    with pytest.raises(ConfigError, match=said):
        GrpoConfig(**changes)


def test_an_override_inside_a_mapping_leaves_its_other_terms():
    assert load_config(GrpoConfig, None, ["token_terms.diversity=1.0"]).token_terms == {
        "correctness": 2.0,
        "risk": 2.0,
        "diversity": 1.0,
    }


CONFIGS = Path(trainer.config.__file__).with_name("configs")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("grpo_*.yaml")), ids=lambda path: path.stem)
def test_a_packaged_config_can_be_meant(path):
    assert load_config(GrpoConfig, path).steps > 0


def test_the_five_configurations_add_one_component_each():
    """RELATE table 2."""
    models = [
        load_config(GrpoConfig, CONFIGS / f"grpo_{name}.yaml")
        for name in ("model1", "model2", "model3", "model4", "relate")
    ]
    added = [set(b.sentence_terms) - set(a.sentence_terms) for a, b in pairwise(models[:4])]
    assert set(models[0].sentence_terms) == {"length", "format"}
    assert added == [{"ctcvr"}, {"diversity"}, {"relevance", "correctness", "risk"}]
    assert not any(model.token_terms for model in models[:4])
    relate = models[4]
    assert relate.sentence_terms.keys() | relate.token_terms.keys() == models[3].sentence_terms.keys()
    assert set(relate.token_terms) == {"diversity", "risk", "correctness"}
