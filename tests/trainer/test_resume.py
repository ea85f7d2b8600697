"""A killed run of any trainer resumes from its newest whole checkpoint, to the weights of an unbroken run."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.runs import Vowels, a_run_config, curves, trained, weights
from tests.trainer.small import save_small_policy, small_prompts
from trainer.baselines import resumable
from trainer.baselines.dpo import Preference, train_dpo
from trainer.baselines.sft import train_sft
from trainer.config import DpoConfig, LoraSettings, SftConfig
from trainer.rewards.combine import RewardError

LORA = LoraSettings(rank=2, alpha=4)
Train = Callable[[Path], Path]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_policy(tmp_path_factory.mktemp("resume") / "base", small_prompts(), width=16)


def trainer(kind: str, base: Path) -> Train:
    """Three steps."""
    lora = LORA if "adapter" in kind else None
    prompts = small_prompts()
    if "sft" in kind:
        sft = SftConfig(lora=lora, batch_size=2, learning_rate=1e-2)
        return lambda out: train_sft(str(base), prompts, sft, out)
    dpo = DpoConfig(lora=lora, batch_size=2, learning_rate=1e-2)
    pairs = [Preference(prompt, *prompt.references) for prompt in prompts]
    return lambda out: train_dpo(str(base), pairs, dpo, out)


class Killed(Exception):
    pass


def killed_at(step: int, *, half_written: bool = False) -> type[Any]:
    """What ends the process after this step; half_written: while its checkpoint is being written."""

    class Kills(resumable._Seal):
        def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if state.global_step == step and half_written:
                weights = next((Path(args.output_dir) / f"checkpoint-{step}").glob("*model.safetensors"))
                weights.write_bytes(weights.read_bytes()[:100])
                raise Killed
            super().on_save(args, state, control, **more)
            if state.global_step == step:
                raise Killed

    return Kills


@pytest.mark.parametrize(
    ("kind", "half_written"),
    [("sft adapter", True), ("sft all weights", False), ("dpo adapter", True), ("dpo all weights", False)],
)
def test_a_killed_fine_tuning_resumes_to_the_weights_of_an_unbroken_one(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str,
    half_written: bool,
) -> None:  # fmt: skip
    monkeypatch.setitem(resumable.SAVING, "save_steps", 1)
    train = trainer(kind, base)
    whole = train(tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(resumable, "_Seal", killed_at(2, half_written=half_written))
        with pytest.raises(Killed):
            train(tmp_path / "killed")
    assert not list((tmp_path / "killed").glob("*.safetensors"))  # no policy before the end
    train(tmp_path / "killed")
    expected, found = (load_file(next(out.glob("*model.safetensors"))) for out in (whole, tmp_path / "killed"))
    assert expected.keys() == found.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in expected)
    kept = sorted(folder.name for folder in (tmp_path / "killed" / "checkpoints").glob("checkpoint-*"))
    assert kept == ["checkpoint-2", "checkpoint-3"]
    state = json.loads((tmp_path / "killed" / "checkpoints" / "checkpoint-3" / "trainer_state.json").read_text())
    assert [entry["step"] for entry in state["log_history"] if "loss" in entry] == [1, 2, 3]
    assert ("checkpoint-2 cannot be resumed from" in caplog.text) == half_written


class KilledAt(Vowels):
    def __init__(self, batch: int) -> None:
        self.left = batch

    def score(self, samples: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise OSError("killed")
        return super().score(samples)


def test_a_damaged_newest_state_of_grpo_resumes_from_the_one_before_to_the_bit(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = a_run_config()
    whole = trained(base, tmp_path / "whole", config)
    with pytest.raises(RewardError):
        trained(base, tmp_path / "killed", config, KilledAt(6))
    newest = tmp_path / "killed" / "checkpoints" / "step-000004" / "state.pt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    for name in ("samples.jsonl", "curves.jsonl"):
        with (tmp_path / "killed" / name).open("ab") as file:
            file.write('{"step": 5, "text": "羊'.encode()[:-1])  # a line that the kill tore inside a character
    steps: list[int] = []
    with caplog.at_level(logging.WARNING):
        resumed = trained(base, tmp_path / "killed", config, Counted(steps))
    assert "step-000004 cannot be resumed from, state.pt is not as it was written" in caplog.text
    assert len(steps) == 4  # steps 2 to 5, not all six
    assert curves(tmp_path / "killed") == curves(tmp_path / "whole")
    expected, found = weights(whole.policy, config), weights(resumed.policy, config)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


class Counted(Vowels):
    def __init__(self, steps: list[int]) -> None:
        self.steps = steps

    def score(self, samples: Any) -> Any:
        self.steps.append(len(samples))
        return super().score(samples)
