"""The conversion reward: a text against its advertiser's own, lowered by κ times the ensemble's uncertainty."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from adtext.brief import AdText
from adtext.prompt import write
from adtext.templates import compose
from tests.trainer.samples import GOOD, THE_RULES, a_prompt, a_sample
from trainer.config import ConfigError, GrpoConfig, from_mapping
from trainer.grpo import Inputs
from trainer.grpo.setup import make_rewards
from trainer.reward_model.score import Scores
from trainer.rewards import Given, MissingInput, RewardError, Rewards, build_terms, read
from trainer.rewards.conversion import Conversion
from trainer.rewards.structure import Length
from trainer.snapshot import describe_text

OWN = AdText(title="Own Text", description="What the advertiser has always shown.")
SURE = AdText(title="Sure Text", description="As likely to convert as the other one.")
UNSURE = AdText(title="Unsure Text", description="As likely to convert as the other one.")


class Known:
    """A reward model with logits (mean, standard deviation) by title."""

    def __init__(self, version: str = "reward-1", **logits: tuple[float, float]) -> None:
        self.version = SimpleNamespace(version=version)
        self.logits = {"Own": (-4.0, 0.0), "Sure": (-3.0, 0.1), "Unsure": (-3.0, 0.9)} | logits

    def score(self, triples):
        found = np.array([self.logits[triple.text.split()[0]] for triple in triples])
        return Scores(found[:, 0], found[:, 1], expit(found[:, 0]), expit(found[:, 0]))


def of(*texts, references=(OWN,)):
    return [read(a_prompt(references=references), write(text, "en"), THE_RULES) for text in texts]


def test_an_uncertain_prediction_is_worth_less_the_larger_kappa_is():
    sure, unsure = (Conversion(Known(), kappa=1.0).score(of(SURE, UNSURE))).tolist()
    assert (sure, unsure) == pytest.approx((expit(1.0 - 0.1), expit(1.0 - 0.9)))
    even = Conversion(Known(), kappa=0.0).score(of(SURE, UNSURE))
    assert even.tolist() == pytest.approx([expit(1.0)] * 2)


def test_the_advertisers_own_text_scores_a_half_and_what_does_not_parse_nothing():
    samples = [*of(OWN), a_sample("no ad at all")]
    assert Conversion(Known(), kappa=1.0).score(samples).tolist() == [0.5, 0.0]


def test_approved_texts_are_the_reference_before_reference_texts():
    approved = AdText(title="Approved Text", description="Shown with the advertiser's consent.")
    (sample,) = of(SURE)
    ad = sample.prompt.brief.ad.model_copy(update={"approved": (approved,)})
    prompt = a_prompt(references=(OWN,))
    prompt = type(prompt)(prompt.brief.model_copy(update={"ad": ad}), prompt.spec, prompt.references, prompt.split)
    term = Conversion(Known(Approved=(-3.0, 0.0)), kappa=0.0)
    assert term.score([read(prompt, write(SURE, "en"), THE_RULES)]).tolist() == [0.5]


@pytest.mark.parametrize(("language", "spec"), [("en", "google_rsa"), ("zh", "baidu_search"), ("ja", "generic")])
def test_without_texts_of_its_own_an_advertiser_is_compared_with_its_template(language, spec):
    prompt = a_prompt(language, spec)
    template = next(compose(prompt.brief, prompt.spec, 0))

    class Fixed(Known):
        def score(self, triples):
            found = np.array([-4.0 if triple.text == describe_text(template) else -3.0 for triple in triples])
            return Scores(found, 0 * found, expit(found), expit(found))

    own, other = (
        read(prompt, write(text, language), THE_RULES)
        for text in (template, template.model_copy(update={"title": "幅广 Wide"}))
    )
    assert Conversion(Fixed(), kappa=0.0).score([own, other]).tolist() == pytest.approx([0.5, expit(1.0)])


def test_the_first_run_with_a_reward_model_fixes_the_scale_for_later_runs(tmp_path):
    kept = tmp_path / "reward-1.scale.json"
    first, later, other_kappa = (Conversion(Known(), kappa=kappa, kept=kept) for kappa in (0.0, 0.0, 1.0))
    first.fit(of(OWN, OWN, OWN, SURE, SURE, SURE))
    later.fit(of(OWN, OWN, OWN, OWN, OWN))  # another policy, whose texts hardly differ
    assert later.scale == first.scale == pytest.approx(0.5)
    other_kappa.fit(of(OWN, OWN, OWN, SURE, SURE, SURE))
    assert other_kappa.scale == pytest.approx(0.45)


@pytest.mark.parametrize("when", ["fit", "score"])
def test_a_held_out_reward_model_that_predicts_nothing_stops_the_run(when, tmp_path):
    broken = Conversion(Known(Sure=(float("nan"), 0.0)), kappa=0.0, kept=tmp_path / "W.scale.json")
    rewards = Rewards({"length": Length()}, {"length": 1.0}, {}, held_out=broken)
    samples = of(SURE, SURE, SURE, SURE, SURE)
    if when == "fit":
        rewards.fit(samples)
        assert not (tmp_path / "W.scale.json").exists()
    with pytest.raises(RewardError, match="reward held_out_reward_model gave nan"):
        rewards.score(samples)


def test_the_scale_is_the_spread_of_the_starting_policys_texts():
    term = Conversion(Known(), kappa=0.0)
    term.fit([*of(OWN, OWN, OWN, SURE, SURE, SURE), a_sample("no ad at all")])
    assert term.scale == pytest.approx(0.5)  # half of them one logit above the others
    assert term.score(of(SURE))[0] == pytest.approx(expit(1.0 / 0.5))
    with pytest.raises(ValueError, match="4 of 5 texts of the starting policy parse: fine-tune it first"):
        term.fit([*of(OWN, OWN, SURE, SURE), a_sample("no ad at all")])


def test_the_scale_is_kept_and_another_reward_model_is_refused():
    term, resumed = (Conversion(Known(), kappa=1.0) for _ in range(2))
    term.fit(of(OWN, OWN, OWN, SURE, SURE, SURE))
    resumed.load_state_dict(term.state_dict())
    assert resumed.score(of(SURE)) == term.score(of(SURE))
    with pytest.raises(ConfigError, match="trained with reward model reward-1, given is reward-2: give the same one"):
        Conversion(Known("reward-2"), kappa=1.0).load_state_dict(term.state_dict())


# ---- which terms a run has


def config(**terms):
    return from_mapping(GrpoConfig, {"batch_size": 10, "terms": {"length": {"weight": 0.5, "fill": 0.7}} | terms})


def test_a_run_computes_the_terms_of_its_config_and_no_others():
    prompts = [a_prompt(references=(GOOD,))]
    rewards = make_rewards(
        config(risk={"weight": 2.0, "level": "token"}, diversity={"weight": 0}), Inputs(policy="p"), prompts
    )
    assert rewards.terms.keys() == {"length", "risk", "diversity"} and rewards.held_out is None
    assert (rewards.sentence, rewards.tokens) == ({"length": 0.5}, {"risk": 2.0})
    short = a_sample(AdText(title="x" * 7, description="宽" * 32))
    assert rewards.score([short]).sentence[0] == pytest.approx((0.5 * 7 / 21 + 1) / 2)  # its fill reached the term


def test_a_weighted_ctcvr_needs_a_reward_model_and_a_watched_one_is_left_out():
    with pytest.raises(MissingInput, match=r"terms\.ctcvr needs a reward model: give --reward-model"):
        build_terms(config(ctcvr={"weight": 1.0}).terms, Given())
    assert build_terms(config(ctcvr={"weight": 0}).terms, Given()).keys() == {"length"}
