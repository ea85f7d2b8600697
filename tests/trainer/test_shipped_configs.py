"""Every pair of configs that ships is started: a fine-tuned adapter, then GRPO or DPO from it, on a tiny model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.runs import Vowels, curves
from tests.trainer.small import save_small_policy, small_prompts
from trainer.baselines.dpo import Preference, train_dpo
from trainer.baselines.sft import train_sft
from trainer.config import DpoConfig, GrpoConfig, SftConfig, load_config
from trainer.evaluation.ablation import CONFIGS
from trainer.grpo.setup import Inputs
from trainer.grpo.train import train_grpo
from trainer.policy import merged_weights
from trainer.prompts import Prompt
from trainer.rewards import Rewards
from trainer.rewards.judge_scores import judges_of
from trainer.rewards.registry import Given, build_terms

FIRST = {"en": "sft_cpu", "zh": "sft_qwen3"}  # what a policy of this language is fine-tuned with
PLAIN = "grpo_plain_cpu"  # the one that starts from plain references
# what a laptop cannot hold; everything that decides how weights load and learn stays
GRPO = (
    "steps=1",
    "group_size=5",
    "batch_size=5",
    "max_completion=8",
    "ranks=1",
    "engine=torch",
    "rollout=hf",
    "sampler_cap=null",
)
SFT = ("batch_size=2", "micro_batch=2")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The adapter that each fine-tuning config makes, by language or by the config that starts from it."""
    folder = tmp_path_factory.mktemp("shipped")
    base = save_small_policy(folder / "base", small_prompts() + small_prompts("zh"), kind="qwen3", width=16)
    return {
        start: train_sft(
            str(base),
            small_prompts("zh" if start == "zh" else "en")[:2],
            load_config(SftConfig, CONFIGS / f"{name}.yaml", SFT),
            folder / name,
        )
        for start, name in (FIRST | {PLAIN: "sft_plain_cpu"}).items()
    }


def light_rewards(config: GrpoConfig, inputs: Inputs, prompts: Sequence[Prompt]) -> Rewards:
    """The configured terms without what needs a large encoder or logs."""
    light = config.terms.model_copy(update={"relevance": None, "ctcvr": None})
    judge, _ = judges_of(config.language)
    terms = build_terms(light, Given(prompts=prompts, reward_model=None, cache=None, judge=judge))
    return Rewards(
        terms | {"relevance": Vowels(), "ctcvr": Vowels()},
        config.terms.weights("sentence"),
        config.terms.weights("token"),
    )


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("grpo_*.yaml")), ids=lambda path: path.stem)
def test_grpo_starts_from_the_adapter_that_the_sft_config_of_its_language_makes(
    tuned: dict[str, Path], path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.grpo.train.make_rewards", light_rewards)
    config = load_config(GrpoConfig, path, GRPO)
    start = tuned[PLAIN if path.stem == PLAIN else config.language]
    outcome = train_grpo(config, Inputs(policy=str(start)), small_prompts(config.language), tmp_path / "run")
    (curve,) = curves(tmp_path / "run")
    assert curve["kl"] == pytest.approx(0, abs=1e-6)  # π_ref is the fine-tuned start, merged or not
    if config.lora:
        assert json.loads((outcome.policy / "adapter_config.json").read_text())["r"] == config.lora.rank
    else:
        assert (
            load_file(outcome.policy / "model.safetensors").keys()
            == load_file(start.parent / "base" / "model.safetensors").keys()
        )


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("dpo_*.yaml")), ids=lambda path: path.stem)
def test_dpo_starts_from_the_adapter_that_the_sft_config_of_its_language_makes(
    tuned: dict[str, Path], path: Path, tmp_path: Path
) -> None:
    config = load_config(DpoConfig, path, SFT)
    pairs = [Preference(prompt, *prompt.references) for prompt in small_prompts(config.language)[:2]]
    out = train_dpo(str(tuned[config.language]), pairs, config, tmp_path / "dpo")
    assert (out / "adapter_model.safetensors").is_file()


def test_the_reference_of_dpo_is_the_merged_policy_and_not_its_base(
    tuned: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = []

    def keep(trainer: object, tokenizer: object, out: Path) -> Path:
        references.append([dict(merged_weights(model)) for model in (trainer.ref_model, trainer.model)])  # type: ignore[attr-defined]
        return out

    monkeypatch.setattr("trainer.baselines.dpo.train", keep)
    pairs = [Preference(prompt, *prompt.references) for prompt in small_prompts()[:2]]
    train_dpo(str(tuned["en"]), pairs, DpoConfig(lora=None, batch_size=2), tmp_path / "dpo")
    ((reference, policy),) = references
    assert reference.keys() == policy.keys()
    assert all(torch.equal(reference[name], weight) for name, weight in policy.items())
