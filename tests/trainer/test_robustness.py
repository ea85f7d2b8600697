"""What goes wrong in a run stops it, or is skipped, with one clear line; and the run goes on cleanly."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import torch

from adtext.brief import AdText
from adtext.prompt import write
from tests.trainer.runs import Vowels, a_run, a_run_config, curves, trained
from tests.trainer.small import save_small_policy, small_prompts
from trainer import checkpoint
from trainer.checkpoint import CheckpointError
from trainer.grpo.step import NotFiniteError
from trainer.policy import decode, trained_state
from trainer.rollout.base import Completion, Group
from trainer.tokens import end_of_text


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    return save_small_policy(
        tmp_path_factory.mktemp("policy") / "base", small_prompts() + small_prompts("zh"), width=16
    )


class Brief(Vowels):
    """The shorter the better."""

    def score(self, samples):
        return np.array([1 / (1 + len(sample.completion)) for sample in samples])


class Scripted:
    """A rollout that returns given completions for every prompt."""

    name = "hf"

    def __init__(self, tokenizer, completions) -> None:
        self._tokenizer, self._completions = tokenizer, completions

    def sample(self, prompts, prompt_ids, group_size, *, seed):
        texts = [
            Completion(ids, decode(self._tokenizer, ids), ids[-1:] == (end_of_text(self._tokenizer),), None)
            for ids in self._completions
        ]
        return [Group(prompt, tuple(ids), tuple(texts)) for prompt, ids in zip(prompts, prompt_ids, strict=True)]

    def push(self, weights):
        raise AssertionError("shares the weights")


def scripted(policy, out, completions):
    """A run whose policy always writes these completions (ids, or texts)."""
    run = a_run(
        policy, out, a_run_config(steps=1, group_size=len(completions), batch_size=len(completions), checkpoint_every=1)
    )
    tokenizer = run.policy.tokenizer
    ids = [
        tuple(completion)
        if not isinstance(completion, str)
        else (*tokenizer(completion, add_special_tokens=False)["input_ids"], end_of_text(tokenizer))
        for completion in completions
    ]
    run.rollout = Scripted(tokenizer, ids)
    return run


def test_a_loss_that_is_no_number_stops_before_the_weights_are_spoiled(policy, tmp_path):
    class Poisons(Vowels):
        """Lets the first two batches through, then spoils one weight, as an overflow would."""

        def __init__(self) -> None:
            self.left = 2

        def score(self, samples):
            self.left -= 1
            if self.left < 0:
                with torch.no_grad():
                    next(iter(trained_state(run.policy.plain).values()))[:] = float("nan")
            return super().score(samples)

    run = a_run(policy, tmp_path / "run", a_run_config(), Poisons())
    with pytest.raises(NotFiniteError, match="no step was taken") as raised:
        run.train()
    assert "\n" not in str(raised.value) and len(curves(tmp_path / "run")) == 2
    assert trained(policy, tmp_path / "run", a_run_config()).steps == 6  # from its checkpoint
    assert [curve["step"] for curve in curves(tmp_path / "run")] == list(range(6))


def test_a_full_disk_stops_with_one_line_and_the_run_goes_on_when_there_is_room(policy, tmp_path, monkeypatch):
    save = torch.save
    calls = []

    def full_at_second(state, path):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, path)

    monkeypatch.setattr(checkpoint.torch, "save", full_at_second)
    with pytest.raises(CheckpointError, match=r"checkpoint of step 4 .*No space left on device.*step-000002"):
        trained(policy, tmp_path / "run", a_run_config())
    assert trained(policy, tmp_path / "run", a_run_config()).steps == 6
    whole = trained(policy, tmp_path / "whole", a_run_config())
    assert curves(tmp_path / "run") == curves(tmp_path / "whole") and whole.steps == 6


@pytest.mark.parametrize(
    "completions",
    [
        # nothing at all; end-of-text alone
        [(), (1,), "Title: Wool Socks\nDescription: Wool socks by Tarn Mill, made by hand."],
        ["wool socks"] * 3,  # all identical: no advantage, nothing to learn, no step backwards
    ],
    ids=["empty", "identical"],
)
def test_odd_completions_are_learned_from_or_skipped(policy, tmp_path, completions):
    run = scripted(policy, tmp_path / "run", completions)
    run.train()
    (curve,) = curves(tmp_path / "run")
    assert all(torch.isfinite(weight).all() for weight in trained_state(run.policy.plain).values())
    if completions[0] == "wool socks":
        assert curve["zero_signal_share"] == 1.0 and curve["grad_norm"] == pytest.approx(0.0, abs=1e-6)
    else:
        assert curve["empty"] == 1 and curve["parsed"] == pytest.approx(1 / 3) and curve["grad_norm"] > 0


def test_a_text_cut_inside_a_chinese_character_is_scored_and_not_charged_beyond_its_bytes(policy, tmp_path):
    prompts = small_prompts("zh")
    run = a_run(policy, tmp_path / "run", a_run_config(steps=1, group_size=3, batch_size=3), Brief())
    run.prompts = prompts
    tokenizer = run.policy.tokenizer
    text = write(AdText(title="青禾家纺羊毛袜", description="手工制作的羊毛袜，全网最低价"), "zh")
    whole = tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces = [tokenizer.decode([token]) for token in whole]
    cut = next(at for at in range(len(whole) - 1, 0, -1) if "\ufffd" in tokenizer.decode(whole[:at]))
    assert "\ufffd" in "".join(pieces)  # some character takes several tokens
    run.rollout = Scripted(tokenizer, [tuple(whole[:cut]), tuple(whole), tuple(whole[: cut - 1])])
    run.train()
    (curve,) = curves(tmp_path / "run")
    assert curve["finished"] == 0.0 and curve["grad_norm"] > 0


def test_limits_that_break_before_the_first_checkpoint_say_so(policy, tmp_path):
    config = a_run_config()
    strict = config.with_changes(limits=config.limits.with_changes(distinct=0.99, window=1), checkpoint_every=6)
    with pytest.raises(
        ValueError, match=r"stopped at step 1, before a checkpoint .*0.00 of a brief's texts are distinct"
    ) as raised:
        trained(policy, tmp_path / "run", strict)
    assert "\n" not in str(raised.value)
