"""The two-stage baseline: pairs are of compliant texts of one prompt, and training on them makes the better one
likelier than the worse.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import A_SPEC, a_brief, an_ad
from small import save_small_policy, small_prompts

from adtext.brief import AdText
from adtext.prompt import write
from adtext.rules import load_rules
from trainer.baselines.dpo import Preference, preferences, train_dpo
from trainer.config import ConfigError, DpoConfig, LoraSettings, load_config
from trainer.forward.ids import Ids
from trainer.forward.layout import completion_logprobs, pack
from trainer.policy import completion_ids, load_policy, prompt_ids
from trainer.prompts import Prompt, evenly
from trainer.reward_model.score import Scores
from trainer.rewards.base import read

RULES = load_rules()
PROMPTS = [Prompt(a_brief(locale="en-US", query=query), A_SPEC, (), "train") for query in ("running shoes", "trainers")]
GOOD, FAIR = (
    an_ad(locale="en-US"),
    AdText(title="Trainers Sized 2E to 4E", description="Roomy toe boxes and light soles."),
)
LOUD = AdText(title="The Best Shoes Ever Made", description="Number one shoes, 90% off for everyone today!")


class LikesLength:
    """A reward model that predicts more for longer texts."""

    def score(self, triples):
        lengths = np.array([float(len(triple.text)) for triple in triples])
        return Scores(lengths, lengths * 0, lengths, lengths)


def samples(prompt, *texts):
    return [read(prompt, text if isinstance(text, str) else write(text, "en"), RULES) for text in texts]


def test_a_pair_is_the_best_and_the_worst_of_a_prompts_compliant_texts():
    (pair,) = preferences(
        samples(PROMPTS[0], FAIR, LOUD, GOOD, "Buy now and never look back, whatever they say."), LikesLength()
    )
    assert pair == Preference(PROMPTS[0], chosen=GOOD, rejected=FAIR)


@pytest.mark.parametrize(
    "texts", [(GOOD, GOOD, GOOD), (GOOD, LOUD), ("Buy",)], ids=["one text", "one compliant", "none"]
)
def test_a_prompt_without_two_compliant_texts_has_no_pair(texts):
    assert preferences(samples(PROMPTS[0], *texts), LikesLength()) == []


def test_a_text_that_was_cut_off_is_no_side_of_a_pair():
    (cut,) = samples(PROMPTS[0], GOOD)
    assert preferences([*samples(PROMPTS[0], FAIR), replace(cut, cut=True)], LikesLength()) == []


def test_texts_of_different_prompts_are_never_paired():
    both = samples(PROMPTS[0], GOOD) + samples(PROMPTS[1], FAIR)
    assert preferences(both, LikesLength()) == []


def test_without_a_pair_there_is_nothing_to_learn(tmp_path):
    with pytest.raises(ValueError, match="0 preference pairs"):
        train_dpo("nowhere", [], DpoConfig(), tmp_path)


# ---- training


def gap(folder, pairs):
    """Mean log π(chosen) - log π(rejected)."""
    model, tokenizer = load_policy(folder)
    gaps = []
    for pair in pairs:
        texts = [completion_ids(tokenizer, text, "en") for text in (pair.chosen, pair.rejected)]
        with torch.no_grad():
            logp = completion_logprobs(model, pack([Ids(prompt_ids(tokenizer, pair.prompt), texts)])).logp.sum(dim=1)
        gaps.append(float(logp[0] - logp[1]))
    return np.mean(gaps)


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4, alpha=8)], ids=["all weights", "adapter"])
def test_training_moves_probability_from_rejected_to_chosen(tmp_path, lora):
    prompts = small_prompts()
    base = save_small_policy(tmp_path / "base", prompts)
    pairs = [Preference(prompt, *prompt.references) for prompt in prompts]
    config = DpoConfig(lora=lora, epochs=4, batch_size=6, micro_batch=6, learning_rate=1e-2)
    train_dpo(str(base), pairs, config, tmp_path / "dpo")
    assert gap(tmp_path / "dpo", pairs) > gap(base, pairs) + 0.5


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("samples=1", "samples 1 must be at least 2"),
        ("queries=0", "queries 0 must be at least 1"),
        ("beta=0", "beta 0 must be greater than 0"),
        ("batch_size=3", "must be a multiple of micro_batch 2"),
    ],
)
def test_a_wrong_setting_stops_before_a_model_loads(setting, said):
    with pytest.raises(ConfigError, match=said):
        load_config(DpoConfig, None, ["micro_batch=2", setting])


def test_few_queries_are_spread_over_all():
    prompts = list(range(10))
    assert evenly(prompts, 4) == [0, 2, 5, 7] and evenly(prompts, None) == evenly(prompts, 99) == prompts
