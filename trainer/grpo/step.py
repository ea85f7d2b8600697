"""The optimisation phase: from groups and their token advantages to new weights.

    reference forward (β > 0) → per micro-batch: policy forward, loss, backward → clip → optimiser step

A micro-batch holds whole groups: the prompt of a group is computed once, and a split group would compute it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import extract_model_from_parallel  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn.functional import pad

from trainer.config import GrpoConfig
from trainer.forward.attention import use_shared_prompt_attention
from trainer.forward.ids import Ids
from trainer.forward.layout import Layout, TokenLogprobs, completion_logprobs, pack
from trainer.grpo.loss import Diagnostics, LossInputs, grpo_loss
from trainer.grpo.microbatches import micro_batches, split_to

if TYPE_CHECKING:
    from accelerate import Accelerator  # type: ignore[import-untyped]

    from trainer.policy import Reference


class NotFiniteError(ArithmeticError):
    """A loss or gradient that is not finite; the message names its origin. The weights are unchanged."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """One optimiser step, over all ranks; means are over sampled tokens."""

    loss: float  # before the step
    grad_norm: float  # before clipping
    kl: float  # to π_ref, nats per token (k3)
    entropy: float  # of π_θ, nats per token
    clipped_low: float  # share of tokens whose gradient the clip removed, ratio too low
    clipped_high: float
    ratio: float  # mean π_θ/π_old
    tokens: int
    empty: int  # texts without a token: nothing to learn from


@dataclass(frozen=True, slots=True)
class _MicroBatch:
    layout: Layout
    advantages: Tensor  # [n, T], as the layout's mask
    sampler: Tensor | None  # [n, T] log-probabilities at which the sampler drew the tokens
    share: float  # share of the step's loss


def optimise(
    model: Any,
    optimizer: torch.optim.Optimizer,
    groups: Sequence[Ids],
    advantages: Tensor,
    config: GrpoConfig,
    *,
    reference: Reference | None = None,
    sampler: Tensor | None = None,
    accelerator: Accelerator | None = None,
) -> StepReport:
    """config.updates optimiser steps on one rollout; reports the last.

    groups: the groups of this rank. advantages [N, ≥ T]: one row per text, in order. sampler: the sampler's
    log-probabilities of the tokens, in the same shape, for config.sampler_cap. π_old is π_θ before the first step: the
    first pass has ratio 1, and later passes are compared with it. With an accelerator, the model and optimiser are the
    prepared ones, gradient_accumulation_steps is 1, and every rank brings the same number of groups. ValueError where
    beta > 0 has no reference, or a cap has no sampler; NotFiniteError before a step that is not finite.
    """
    if config.beta > 0 and reference is None:
        raise ValueError(f"beta {config.beta} needs the reference policy: pass reference, or set beta to 0")
    if config.sampler_cap and sampler is None:
        raise ValueError(
            f"sampler_cap {config.sampler_cap} needs the sampler's log-probabilities: pass sampler, or set "
            "sampler_cap to null"
        )
    device = next(model.parameters()).device
    batches = _micro_batches(
        groups, advantages.to(device), None if sampler is None else sampler.to(device), config, accelerator
    )
    use_shared_prompt_attention(extract_model_from_parallel(model))
    of_reference: list[Tensor | None] = [None] * len(batches)
    if reference is not None and config.beta > 0:
        with reference.active() as frozen, torch.no_grad():
            use_shared_prompt_attention(frozen)
            of_reference = [_logprobs(frozen, batch.layout, config).logp for batch in batches]

    was_training = model.training
    model.train()  # gradient checkpointing works in training mode only; no policy here has dropout
    of_old: list[Tensor | None] = [None] * len(batches)
    for _ in range(config.updates):
        report = _update(model, optimizer, batches, of_old, of_reference, config, accelerator)
    model.train(was_training)
    return report


def _update(
    model: Any,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[_MicroBatch],
    of_old: list[Tensor | None],
    of_reference: Sequence[Tensor | None],
    config: GrpoConfig,
    accelerator: Accelerator | None,
) -> StepReport:
    """One pass over the micro-batches and one optimiser step; fills of_old on its first pass."""
    optimizer.zero_grad()
    sums: list[Tensor] = []
    for number, batch in enumerate(batches):
        last = number == len(batches) - 1
        with nullcontext() if last or accelerator is None else accelerator.no_sync(model):
            scored = _logprobs(model, batch.layout, config)
            old = of_old[number]
            if old is None:
                old = of_old[number] = scored.logp.detach()
            loss, watched = grpo_loss(
                LossInputs(
                    scored.logp,
                    old,
                    of_reference[number],
                    batch.advantages,
                    scored.mask,
                    weights=_correction(old, batch.sampler, config.sampler_cap),
                ),
                clip_low=config.clip_low,
                clip_high=config.clip_high,
                beta=config.beta,
                weighted_kl=config.weighted_kl,
                aggregation=config.aggregation,
                max_completion=config.max_completion,
            )
            loss = loss * batch.share
            if not torch.isfinite(loss):
                raise NotFiniteError(_why(number, len(batches), scored.logp, of_reference[number], batch.advantages))
            _backward(loss, accelerator, last)
        sums.append(_sums(loss, scored, watched))
    norm = _clip(model, config.max_grad_norm, accelerator)
    if not torch.isfinite(torch.as_tensor(norm)):
        raise NotFiniteError(
            f"the gradient's norm is {float(norm)} although the loss is finite: lower learning_rate, or use float32"
        )
    optimizer.step()
    return _report(torch.stack(sums).sum(dim=0), float(norm), accelerator)


def _micro_batches(
    groups: Sequence[Ids],
    advantages: Tensor,
    sampler: Tensor | None,
    config: GrpoConfig,
    accelerator: Accelerator | None,
) -> list[_MicroBatch]:
    """Whole groups, each micro-batch with its share of the step's loss; shares average to 1 over ranks."""
    texts = sum(len(group.completions) for group in groups)
    if len(advantages) != texts:
        raise ValueError(
            f"{len(advantages)} rows of advantages for {texts} texts: pass one row per completion, group by group"
        )
    parts = micro_batches(groups, config)
    if accelerator is not None:
        counts = accelerator.gather(torch.tensor([len(parts)], device=advantages.device))
        parts = split_to(parts, int(counts.max()))
    layouts = [
        pack(groups[part.start : part.stop], device=advantages.device, shared=config.shared_prompt) for part in parts
    ]
    # The weight of a micro-batch is its share of the loss's denominator: texts or, over all ranks, tokens.
    weights = torch.stack(
        [layout.mask.sum() if config.aggregation == "token" else torch.tensor(len(layout.mask)) for layout in layouts]
    )
    total = weights.sum().float().to(advantages.device)
    if accelerator is not None:
        total = accelerator.reduce(total, reduction="mean")
    batches, first = [], 0
    for layout, weight in zip(layouts, weights, strict=True):
        rows, width = layout.mask.shape
        own = slice(first, first + rows)
        written = None if sampler is None else _as_wide(sampler[own], width)
        batches.append(
            _MicroBatch(layout, _as_wide(advantages[own], width), written, float(weight / total.clamp(min=1)))
        )
        first += rows
    return batches


def _as_wide(values: Tensor, width: int) -> Tensor:
    """[n, any] → [n, width], cut or padded with zeros."""
    return pad(values, (0, width - values.shape[1]))


def _correction(old: Tensor, sampler: Tensor | None, cap: float | None) -> Tensor | None:
    """min(π_old/π_sampler, cap) of every token, [n, T]; None where there is no correction."""
    return None if cap is None or sampler is None else torch.exp(old - sampler).clamp(max=cap)


def _logprobs(model: Any, layout: Layout, config: GrpoConfig) -> TokenLogprobs:
    autocast = config.precision == "bfloat16"
    with torch.autocast(layout.ids.device.type, torch.bfloat16) if autocast else nullcontext():
        return completion_logprobs(model, layout)


def _backward(loss: Tensor, accelerator: Accelerator | None, last: bool) -> None:
    if accelerator is None:
        loss.backward()  # type: ignore[no-untyped-call]
        return
    accelerator.sync_gradients = last  # the boundary at which DeepSpeed reduces, clips and steps
    accelerator.backward(loss)


def _clip(model: Any, max_norm: float, accelerator: Accelerator | None) -> Tensor | float:
    """The norm of all gradients before clipping."""
    if accelerator is None:
        return torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    norm: Tensor | float = accelerator.clip_grad_norm_(model.parameters(), max_norm)
    return norm


def _sums(loss: Tensor, scored: TokenLogprobs, watched: Diagnostics) -> Tensor:
    empty = (~scored.mask.any(dim=1)).sum()
    entropy = (scored.entropy * scored.mask).sum()
    parts = (
        loss.detach(),
        watched.tokens,
        watched.kl,
        entropy,
        watched.clipped_low,
        watched.clipped_high,
        watched.ratio,
        empty,
    )
    return torch.stack([part.float() for part in parts])


def _report(sums: Tensor, norm: float, accelerator: Accelerator | None) -> StepReport:
    ranks = 1
    if accelerator is not None:
        sums, ranks = accelerator.reduce(sums, reduction="sum"), accelerator.num_processes
    loss, tokens, *others, empty = sums.tolist()
    kl, entropy, low, high, ratio = (value / max(tokens, 1.0) for value in others)
    return StepReport(loss / ranks, norm, kl, entropy, low, high, ratio, int(tokens), int(empty))


def _why(number: int, batches: int, logp: Tensor, ref_logp: Tensor | None, advantages: Tensor) -> str:
    suspects = {
        "advantages": advantages,
        "log-probabilities of the policy": logp,
        "log-probabilities of the reference": ref_logp,
    }
    broken = [name for name, values in suspects.items() if values is not None and not torch.isfinite(values).all()]
    return (
        f"the loss of micro-batch {number + 1} of {batches} is not finite (not finite: "
        f"{', '.join(broken) or 'the ratio or KL itself'}): "
        "no step was taken; lower learning_rate or raise beta, and resume from the last checkpoint"
    )
