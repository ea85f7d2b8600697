"""TRL's own `_compute_loss` as the oracle: the same ids, advantages, old and reference log-probabilities give the same
gradients.

Settings at which both compute the same: temperature 1, importance sampling by token, no truncation masking, no entropy
quantile, no off-policy mask, no dropout, ε 0.2/0.2, float32.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer

from tests.trainer.policies import a_policy, byte_level_tokenizer, distance, gradients, some_groups
from trainer.forward.attention import use_shared_prompt_attention
from trainer.forward.layout import completion_logprobs, pack
from trainer.grpo.loss import LossInputs, grpo_loss

GROUPS = some_groups(((7, (3, 5, 1, 6, 2)), (4, (2, 6, 4, 1, 7)), (9, (5, 5, 5, 5, 5))))
TEXTS, LONGEST, MOST = 15, 7, 9  # texts; tokens of the longest; tokens allowed (dr_grpo's constant)
# in one batch, bnpo's and dapo's means are the same
OURS = {"grpo": "sequence", "bnpo": "token", "dr_grpo": "sum", "dapo": "token"}


@pytest.fixture(scope="module")
def trainers(tmp_path_factory) -> dict[str, GRPOTrainer]:
    return {kind: a_trainer(kind, tmp_path_factory.mktemp(kind)) for kind in ("llama", "qwen3")}


def a_trainer(kind: str, folder: Any) -> GRPOTrainer:
    settings = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=TEXTS,
        num_generations=5,
        max_completion_length=MOST,
        beta=0.0,
        epsilon=0.2,
        temperature=1.0,
        report_to=[],
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_dropout=True,
    )
    trainer = GRPOTrainer(
        a_policy(kind),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=settings,
        train_dataset=Dataset.from_dict({"prompt": ["a"] * TEXTS}),
        processing_class=byte_level_tokenizer(),
    )
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    return trainer


def padded(rows: list[list[int]], *, left: bool) -> tuple[Tensor, Tensor]:
    """(ids, mask) as TRL lays them out: prompts padded on the left, completions on the right."""
    width = max(map(len, rows))
    blank = [[0] * (width - len(row)) for row in rows]
    ids = [pad + row if left else row + pad for row, pad in zip(rows, blank, strict=True)]
    mask = [
        [0] * len(pad) + [1] * len(row) if left else [1] * len(row) + [0] * len(pad)
        for row, pad in zip(rows, blank, strict=True)
    ]
    return torch.tensor(ids), torch.tensor(mask)


def of_trl(
    trainer: GRPOTrainer,
    loss_type: str,
    beta: float,
    advantages: Tensor,
    old: Tensor | None,
    ref: Tensor,
    weights: Tensor | None = None,
) -> dict[str, Tensor]:
    prompts, prompt_mask = padded([list(group.prompt) for group in GROUPS for _ in group.completions], left=True)
    completions, completion_mask = padded([list(text) for group in GROUPS for text in group.completions], left=False)
    trainer.loss_type, trainer.beta = loss_type, beta
    inputs = {
        "prompt_ids": prompts,
        "prompt_mask": prompt_mask,
        "completion_ids": completions,
        "completion_mask": completion_mask,
        "advantages": advantages,
        "ref_per_token_logps": ref,
        "num_items_in_batch": completion_mask.sum(),
    }
    if old is not None:
        inputs["old_per_token_logps"] = old
    trainer.use_vllm = weights is not None
    if weights is not None:
        inputs["importance_sampling_ratio"] = weights
    trainer.model.zero_grad()
    trainer._compute_loss(trainer.model, inputs).backward()
    return gradients(trainer.model)


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
@pytest.mark.parametrize("loss_type", list(OURS))
@pytest.mark.parametrize(("beta", "weighted_kl"), [(0.0, False), (0.02, False), (0.02, True)])
@pytest.mark.parametrize("off_policy", [False, True], ids=["ratio 1", "clipped on both sides"])
@pytest.mark.parametrize("by_token", [False, True], ids=["sentence advantages", "token advantages"])
def test_the_gradient_is_trls(trainers, kind, loss_type, beta, weighted_kl, off_policy, by_token):
    model = a_policy(kind).train()
    use_shared_prompt_attention(model)
    layout = pack(GROUPS)
    chance = torch.Generator().manual_seed(5)
    advantages = torch.randn(TEXTS, generator=chance)[:, None].expand(TEXTS, LONGEST).clone()
    if by_token:
        advantages -= 2.0 * (torch.rand(TEXTS, LONGEST, generator=chance) < 0.2)

    scored = completion_logprobs(model, layout)
    old = scored.logp.detach() + (0.3 * torch.randn(TEXTS, LONGEST, generator=chance) if off_policy else 0.0)
    ref = scored.logp.detach() + 0.5 * torch.randn(TEXTS, LONGEST, generator=chance)
    loss, watched = grpo_loss(
        LossInputs(scored.logp, old, ref, advantages, scored.mask),
        clip_low=0.2,
        clip_high=0.2,
        beta=beta,
        weighted_kl=weighted_kl,
        aggregation=OURS[loss_type],
        max_completion=MOST,
    )
    loss.backward()

    trainers[kind].args.use_bias_correction_kl = weighted_kl
    theirs = of_trl(
        trainers[kind], loss_type, beta, advantages if by_token else advantages[:, 0], old if off_policy else None, ref
    )
    if off_policy:
        shares = float(watched.clipped_low / watched.tokens), float(watched.clipped_high / watched.tokens)
        assert min(shares) > 0 and 0.1 <= sum(shares) <= 0.5
    ours = gradients(model)
    assert ours.keys() == theirs.keys()
    assert max(distance(ours[name], theirs[name]) for name in theirs) <= 1e-4


@pytest.mark.parametrize("loss_type", list(OURS))
def test_the_correction_for_an_inexact_sampler_is_trls(trainers, loss_type):
    model = a_policy("llama").train()
    scored = completion_logprobs(model, pack(GROUPS))
    chance = torch.Generator().manual_seed(6)
    advantages, noise, behind = (torch.randn(TEXTS, LONGEST, generator=chance) for _ in range(3))
    old = scored.logp.detach()
    ref, weights = old + 0.5 * behind, torch.exp(0.6 * noise).clamp(max=2.0)
    assert 0 < (weights == 2.0).float().mean() < 0.5
    loss, _ = grpo_loss(
        LossInputs(scored.logp, old, ref, advantages, scored.mask, weights=weights),
        clip_low=0.2,
        clip_high=0.2,
        beta=0.02,
        aggregation=OURS[loss_type],
        max_completion=MOST,
    )
    loss.backward()
    trainers["llama"].args.use_bias_correction_kl = False
    theirs = of_trl(trainers["llama"], loss_type, 0.02, advantages, old, ref, weights)
    ours = gradients(model)
    assert max(distance(ours[name], theirs[name]) for name in theirs) <= 1e-4


def test_the_oracle_tells_a_wrong_gradient(trainers):
    """The comparison above can fail: another clip is seen by it."""
    model = a_policy("llama").train()
    scored = completion_logprobs(model, pack(GROUPS))
    advantages = torch.ones(TEXTS, LONGEST)
    old = scored.logp.detach() - 0.25
    loss, _ = grpo_loss(
        LossInputs(scored.logp, old, None, advantages, scored.mask),
        clip_low=0.2,
        clip_high=0.3,
        beta=0.0,
        aggregation="token",
        max_completion=MOST,
    )
    loss.backward()
    theirs = of_trl(trainers["llama"], "dapo", 0.0, advantages, old, old)
    assert float(torch.cat([g.flatten() for g in gradients(model).values()]).norm()) > 0
    assert all(not g.any() for g in theirs.values())  # exp(0.25) > 1.2: all of it is clipped there
