"""What a term does with its brief, its settings and its checkpoint."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from adtext.brief import AdText
from adtext.spec import load_spec
from tests.builders import a_brief
from tests.trainer.samples import GOOD, a_prompt, a_sample
from trainer.config import ConfigError
from trainer.evaluation.metrics import measure
from trainer.prompts import Prompt
from trainer.reward_model.score import RewardModel, Scores
from trainer.rewards import Given, Rewards
from trainer.rewards import semantics as semantics_module
from trainer.rewards.base import Sample
from trainer.rewards.conversion import Conversion
from trainer.rewards.diversity import Diversity
from trainer.rewards.semantics import Relevance
from trainer.rewards.structure import Format, Length


def sample(title, query="running shoes", ad="ad-1"):
    brief = a_brief(locale="en-US", query=query, id=ad)
    return Sample(Prompt(brief, load_spec("generic"), (), "train"), "", AdText(title=title, description=""), ())


# ---- diversity


def test_a_repeated_phrase_is_free_where_it_is_the_query_itself():
    term = Diversity()
    term.observe([sample("Shop now", query=f"query {number}") for number in range(5)])
    other, own = sample("Shop now"), sample("Shop now", query="shop now")
    assert term.score([other, own]).tolist() == [0.0, 1.0]
    assert len(term.charges(other)) == 1 and term.charges(own) == []


def test_what_does_not_parse_is_charged_nothing():
    term = Diversity()
    term.observe([sample("Shop now", query=f"query {number}") for number in range(5)])
    assert term.charges(a_sample("no ad at all")) == []


# ---- relevance


class Angles:
    """An encoder that gives each advertiser's texts and brief a direction."""

    name, dim = "angles", 2

    def encode(self, strings):
        degrees = [next(angle for name, angle in self.of.items() if name in string) for string in strings]
        return np.array([[np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees])

    of = {"own text": 10.0, "other text": 80.0, "Green": 0.0, "Clay": 90.0}  # noqa: RUF012  first match wins


def two_advertisers():
    shop = a_brief(locale="en-US")
    green = shop.model_copy(update={"ad": shop.ad.model_copy(update={"id": "green", "advertiser": "Green"})})
    clay = shop.model_copy(
        update={
            "ad": shop.ad.model_copy(
                update={"id": "clay", "advertiser": "Clay", "business": "Clay", "selling_points": ()}
            )
        }
    )
    own, other = (AdText(title=title, description="x") for title in ("own text", "other text"))
    return [Prompt(green, load_spec("generic"), (own,), "train"), Prompt(clay, load_spec("generic"), (other,), "train")]


def test_relevance_is_the_linear_discriminant_of_matched_and_mismatched_pairs():
    prompts = two_advertisers()
    term = Relevance.calibrate(Angles(), prompts)
    matched, mismatched = np.cos(np.radians(10)), np.cos(np.radians(80))  # the same for both advertisers
    assert term.middle == pytest.approx((matched + mismatched) / 2)
    assert term.slope == pytest.approx((matched - mismatched) / 0.02**2)  # no spread: the least that is allowed
    gentle = Relevance(Angles(), slope=2.0, middle=0.5)
    text = prompts[0].references[0]
    found = gentle.of([prompts[0].brief, prompts[1].brief], [text, text])
    assert found == pytest.approx(expit([2.0 * (matched - 0.5), 2.0 * (mismatched - 0.5)]))


def test_relevance_is_built_with_the_configs_encoder_on_the_runs_facts_and_prompts(monkeypatch, tmp_path):
    asked = {}

    def encoder(name, facts, cache):
        asked.update(name=name, facts=facts(), cache=cache)
        return Angles()

    monkeypatch.setattr(semantics_module, "make_encoder", encoder)
    prompts = two_advertisers()
    term = Relevance.build(Given(prompts=prompts, cache=tmp_path), encoder="hashed")
    assert (asked["name"], asked["cache"]) == ("hashed", tmp_path)
    assert asked["facts"] == [fact for prompt in prompts for fact in prompt.brief.facts()] != []
    assert term.middle == pytest.approx(Relevance.calibrate(Angles(), prompts).middle)


# ---- conversion


class Flat:
    """A reward model that gives every text one logit."""

    version = SimpleNamespace(version="flat")

    def score(self, triples):
        zeros = np.zeros(len(triples))
        return Scores(zeros, zeros, zeros + 0.5, zeros + 0.5)


def test_the_reward_model_is_loaded_from_its_folder_with_the_settings_of_the_config(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(RewardModel, "load", lambda folder, *, cache: asked.append((folder, cache)) or Flat())
    term = Conversion.build(Given(reward_model=tmp_path / "model", cache=tmp_path / "cache"), kappa=0.7)
    assert asked == [(tmp_path / "model", tmp_path / "cache")]
    assert term.kappa == 0.7 and isinstance(term.model, Flat)


def test_a_reward_model_without_any_spread_leaves_a_scale_that_divides():
    term = Conversion(Flat(), kappa=1.0)
    term.fit([_with_reference() for _ in range(5)])
    assert term.scale == 1e-3
    assert term.score([_with_reference()]).tolist() == [0.5]


def _with_reference():
    return Sample(a_prompt(references=(GOOD,)), "", GOOD, ())


# ---- the terms of a run


def test_a_checkpoint_of_other_terms_is_refused_and_one_of_the_same_is_taken_up():
    first, second = Rewards({"diversity": Diversity()}, {}, {}), Rewards({"diversity": Diversity()}, {}, {}, Length())
    first.terms["diversity"].observe([sample("Shop now", query=f"query {number}") for number in range(5)])
    fresh = Rewards({"diversity": Diversity()}, {}, {})
    fresh.load_state_dict(first.state_dict())
    assert fresh.terms["diversity"].score([sample("Shop now")]).tolist() == [0.0]
    assert second.state_dict().keys() == {"diversity", "held_out_reward_model"}
    with pytest.raises(
        ConfigError, match="trained with diversity, this run has diversity, held_out_reward_model: give"
    ):
        second.load_state_dict(first.state_dict())


def test_the_spread_is_of_each_group_and_not_of_the_batch():
    rewards = Rewards({"length": Length(), "format": Format()}, {"length": 3.0, "format": 1.0}, {})
    scores = {"length": np.array([0.0, 1.0, 1.0, 1.0]), "format": np.array([0.0, 0.0, 1.0, 1.0])}
    spread = rewards.spread_within(SimpleNamespace(terms=scores), group_size=2)
    assert spread == pytest.approx({"length": 0.75 * np.sqrt(0.5) / 2, "format": 0.0})


# ---- measures


def test_semantic_quality_counts_relevance_correctness_and_risk_alike():
    relevance = SimpleNamespace(score=lambda samples: np.full(len(samples), 0.6))
    values = measure("policy", [a_sample(GOOD)], relevance, {"ctcvr": Flat()}).values
    assert values["semantics"].tolist() == pytest.approx([(0.6 + 1 + 1) / 3])
    assert values["structure"].tolist() == [1.0]
    assert values["ctcvr"].tolist() == [0.5]


def test_diversity_of_a_policy_exempts_each_texts_own_query():
    relevance = SimpleNamespace(score=lambda samples: np.zeros(len(samples)))
    samples = [sample("Shop now", query=f"query {number}", ad=f"ad-{number}") for number in range(4)]
    samples.append(sample("Shop now", "shop now"))
    assert measure("policy", samples, relevance, {}).values["diversity"].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]
