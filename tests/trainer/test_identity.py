"""A run's folder belongs to what made it: another config, start, base, reward model or query is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adtext.brief import AdText
from tests.trainer.small import save_small_policy, small_prompts
from trainer.baselines.dpo import Preference, train_dpo
from trainer.baselines.sft import train_sft
from trainer.config import ConfigError, DpoConfig, GrpoConfig, LoraSettings, SftConfig
from trainer.evaluation.ablation import _train
from trainer.grpo.setup import Inputs
from trainer.grpo.setup import identity as grpo_identity
from trainer.grpo.train import train_grpo
from trainer.identity import Identity, policy_digests
from trainer.prompts import Prompt

LORA = LoraSettings(rank=2, alpha=4)
SFT = SftConfig(lora=LORA, batch_size=2, learning_rate=1e-2)
GRPO = GrpoConfig(
    steps=1, batch_size=4, group_size=2, max_completion=8, lora=LORA, checkpoint_every=1,
    terms={"length": {"weight": 1.0}, "diversity": {"weight": 0.5, "level": "token"}},
)  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_policy(
        tmp_path_factory.mktemp("identity") / "base", small_prompts() + small_prompts("zh"), width=16
    )


@pytest.fixture(scope="module")
def sft(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_sft(str(base), small_prompts(), SFT, tmp_path_factory.mktemp("sft") / "policy")


def changed(folder: Path, copy: Path, name: str = "model.safetensors") -> Path:
    """A copy whose weights are a little different."""
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("checkpoints"))
    weights = load_file(copy / name)
    save_file({key: weight + 0.01 for key, weight in weights.items()}, copy / name, metadata={"format": "pt"})
    return copy


def reworded(prompts: list[Prompt]) -> list[Prompt]:
    """The same queries, one with another selling point."""
    ad = prompts[1].brief.ad.model_copy(update={"selling_points": ("手工制作",)})
    return [prompts[0], replace(prompts[1], brief=prompts[1].brief.model_copy(update={"ad": ad})), *prompts[2:]]


OTHER_RATE, OTHER_ALPHA = SFT.with_changes(learning_rate=2e-2), SFT.with_changes(lora={"rank": 2, "alpha": 8})


def another(base: Path, out: Path) -> Path:
    """The start with other weights."""
    return changed(base, out.with_name("another"))


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("learning_rate", lambda base, out: train_sft(str(base), small_prompts(), OTHER_RATE, out)),
        ("lora.alpha", lambda base, out: train_sft(str(base), small_prompts(), OTHER_ALPHA, out)),
        ("prompts", lambda base, out: train_sft(str(base), reworded(small_prompts()), SFT, out)),
        ("prompts", lambda base, out: train_sft(str(base), small_prompts()[::-1], SFT, out)),
        ("policy", lambda base, out: train_sft(str(another(base, out)), small_prompts(), SFT, out)),
    ],
    ids=["setting", "setting of a group", "facts of a brief", "order", "weights of the start"],
)  # fmt: skip
def test_fine_tuning_another_run_into_the_same_folder_is_refused(
    base: Path, sft: Path, tmp_path: Path, name: str, again: Callable[[Path, Path], object]
) -> None:
    out = tmp_path / "sft"
    shutil.copytree(sft, out)
    weights = (out / "adapter_model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=f"holds a run with other {name}: give these again, or name a new folder"):
        again(base, out)
    assert (out / "adapter_model.safetensors").read_bytes() == weights


def test_the_same_run_over_the_same_folder_is_the_same_policy(base: Path, sft: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved base"
    shutil.copytree(base, moved)  # what counts is the content, not where it lies
    shutil.copytree(sft, tmp_path / "sft")
    train_sft(str(moved), small_prompts(), SFT, tmp_path / "sft")
    again, first = (load_file(folder / "adapter_model.safetensors") for folder in (tmp_path / "sft", sft))
    assert all(torch.equal(again[name], weight) for name, weight in first.items())


@pytest.mark.parametrize("name", ["beta", "terms.length.weight", "policy", "base", "prompts", "reward_model", "rules"])
def test_a_grpo_run_is_told_from_another_by_everything_that_made_it(
    base: Path, sft: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, prompts, inputs = GRPO, small_prompts(), {"policy": str(sft), "base": str(base)}
    out = tmp_path / "run"
    shutil.copytree(tmp_path, out / "checkpoints", dirs_exist_ok=True)
    (out / "checkpoints" / "step-000001").mkdir()
    with pytest.raises(ConfigError, match="no recorded run made"):
        grpo_identity(config, Inputs(**inputs), prompts).claim(out)
    shutil.rmtree(out)
    grpo_identity(config, Inputs(**inputs), prompts).claim(out)
    (out / "checkpoints" / "step-000001").mkdir(parents=True)
    grpo_identity(config.with_changes(steps=9), Inputs(**inputs), prompts).claim(out)  # more steps are the same run
    if name == "beta":
        config = config.with_changes(beta=0.5)
    elif name == "terms.length.weight":
        config = config.with_changes(terms=config.terms.model_dump(exclude_none=True) | {"length": {"weight": 2.0}})
    elif name == "policy":
        inputs["policy"] = str(changed(sft, tmp_path / "other", "adapter_model.safetensors"))
    elif name == "base":
        inputs["base"] = str(changed(base, tmp_path / "other"))
    elif name == "prompts":
        prompts = reworded(prompts)
    elif name == "reward_model":
        (tmp_path / "model").mkdir()
        inputs["reward_model"] = tmp_path / "model"  # type: ignore[assignment]
    else:
        monkeypatch.setattr("trainer.grpo.setup.load_rules", lambda: type("Rules", (), {"version": "next"}))
    with pytest.raises(ConfigError, match=f"holds a run with other {name}: "):
        grpo_identity(config, Inputs(**inputs), prompts).claim(out)  # type: ignore[arg-type]


def test_a_grpo_run_refuses_other_prompts_before_a_model_loads(
    sft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_grpo(GRPO, Inputs(policy=str(sft)), small_prompts(), tmp_path / "run")
    monkeypatch.setattr("trainer.grpo.setup.load_policy", None)
    monkeypatch.setattr("trainer.grpo.train.make_rewards", None)
    with pytest.raises(ConfigError, match="holds a run with other prompts"):
        train_grpo(GRPO.with_changes(steps=2), Inputs(policy=str(sft)), reworded(small_prompts()), tmp_path / "run")
    with pytest.raises(ConfigError, match="holds a run with other beta"):  # nor does an ablation keep another's run
        _train(GRPO.with_changes(beta=0.3), Inputs(policy=str(sft)), small_prompts(), tmp_path / "run")


def test_dpo_over_other_pairs_is_refused(sft: Path, tmp_path: Path) -> None:
    config = DpoConfig(lora=LORA, batch_size=2)
    pairs = [Preference(prompt, *prompt.references) for prompt in small_prompts()]
    train_dpo(str(sft), pairs, config, tmp_path / "dpo")
    other = [replace(pairs[0], rejected=AdText(title="Wool Socks", description="Socks.")), *pairs[1:]]
    with pytest.raises(ConfigError, match="holds a run with other pairs"):
        train_dpo(str(sft), other, config, tmp_path / "dpo")


def test_a_model_that_another_command_made_is_not_written_over(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "base")
    with pytest.raises(ConfigError, match="holds a model or checkpoints that no recorded run made"):
        train_sft(str(tmp_path / "base"), small_prompts(), SFT, tmp_path / "base")


def test_a_run_that_kept_nothing_makes_way_for_a_corrected_one(base: Path, tmp_path: Path) -> None:
    digests = policy_digests(str(base))
    Identity("sft", SFT, digests).claim(tmp_path)
    Identity("sft", SFT.with_changes(epochs=2), digests).claim(tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["config"]["epochs"] == 2
