"""What rollouts must hold, whichever engine writes: they are draws from π_θ, and the same seed writes the same
texts.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.trainer.runs import curves
from tests.trainer.small import save_small_policy, small_prompts
from trainer.policy import load_policy, prompt_ids
from trainer.rollout.hf import HfRollout
from trainer.tokens import end_of_text

LONGEST = 12


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def policy(request, tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("policy") / request.param
    return load_policy(save_small_policy(folder, small_prompts(), kind=request.param))


def written(policy, seed=1, group_size=4):
    model, tokenizer = policy
    prompts = small_prompts()[:3]
    # unequal, so there is padding
    ids = [prompt_ids(tokenizer, prompt)[cut:] for cut, prompt in zip((0, 17, 5), prompts, strict=True)]
    return HfRollout(model, tokenizer, max_completion=LONGEST).sample(prompts, ids, group_size, seed=seed)


def test_the_sampler_reports_the_log_probabilities_of_the_policy(policy):
    model, _ = policy
    for group in written(policy):
        for completion in group.completions:
            row = torch.tensor([[*group.prompt_ids, *completion.ids]])
            log_p = model(row).logits[0, len(group.prompt_ids) - 1 : -1].log_softmax(dim=-1)
            assert completion.logprobs == pytest.approx(
                log_p.gather(1, torch.tensor(completion.ids)[:, None])[:, 0].tolist(), abs=1e-4
            )


def test_the_same_seed_writes_the_same_texts_and_another_seed_others(policy):
    assert written(policy, seed=5) == written(policy, seed=5) != written(policy, seed=6)


def test_a_text_ends_at_end_of_text_or_at_the_longest_length(policy):
    _, tokenizer = policy
    end = end_of_text(tokenizer)
    texts = [
        completion
        for seed in range(8)
        for group in written(policy, seed, group_size=20)
        for completion in group.completions
    ]
    assert {completion.finished for completion in texts} == {True, False}
    for completion in texts:
        assert (
            end not in completion.ids[:-1]
            and completion.finished == (completion.ids[-1] == end)
            and len(completion.ids) <= LONGEST
        )
        assert completion.finished or len(completion.ids) == LONGEST
        assert "<|im_end|>" not in completion.text


def test_a_text_ends_at_every_end_of_turn_token_of_the_generation_config(policy):
    model, tokenizer = policy
    usual = model.generation_config.eos_token_id
    ends = {end_of_text(tokenizer), *range(300, 400)}  # many, so that random texts meet one
    model.generation_config.eos_token_id = sorted(ends)
    try:
        texts = [completion for group in written(policy, group_size=20) for completion in group.completions]
    finally:
        model.generation_config.eos_token_id = usual
    assert {completion.ids[-1] for completion in texts if completion.finished} - {end_of_text(tokenizer)}
    for completion in texts:
        assert ends.isdisjoint(completion.ids[:-1]) and completion.finished == (completion.ids[-1] in ends)


def test_texts_are_drawn_as_often_as_the_policy_says(policy):
    model, tokenizer = policy
    prompt = small_prompts()[0]
    ids = prompt_ids(tokenizer, prompt)
    (group,) = HfRollout(model, tokenizer, max_completion=1).sample([prompt], [ids], 4000, seed=0)
    p = model(torch.tensor([ids])).logits[0, -1].softmax(dim=-1).double()
    counts = torch.bincount(
        torch.tensor([completion.ids[0] for completion in group.completions]), minlength=len(p)
    ).double()
    chi_squared = ((counts - 4000 * p) ** 2 / (4000 * p)).sum().item()
    assert abs(chi_squared - len(p)) < 5 * (2 * len(p)) ** 0.5  # mean V - 1, variance 2(V - 1)


@pytest.mark.slow
def test_vllm_writes_with_the_weights_that_were_pushed_last(tmp_path):
    """Tied weights and an adapter: what the engine packed at its start must not outlive a push."""
    policy = save_small_policy(tmp_path / "base", small_prompts(), kind="qwen3", width=64, head=32)
    subprocess.run(
        [sys.executable, "-m", "tests.trainer.vllm_run", str(policy), str(tmp_path / "run")], check=True, timeout=280
    )
    steps = curves(tmp_path / "run")
    assert [step["drift"] < 1e-4 for step in steps] == [True] * 3  # nats per token, against the trainer's own forward
    assert steps[-1]["kl"] > 1e-4  # the weights did move
