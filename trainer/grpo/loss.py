"""The GRPO objective, token by token (RELATE eq. 6), and diagnostics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.config import Aggregation


@dataclass(frozen=True, slots=True)
class LossInputs:
    """N texts of at most T tokens."""

    logp: Tensor  # [N, T] log π_θ, with its gradient
    old_logp: Tensor  # [N, T] log π_old
    ref_logp: Tensor | None  # [N, T] log π_ref; may be None where beta = 0
    advantages: Tensor  # [N, T] A_it
    mask: Tensor  # [N, T] 1 on sampled tokens, 0 on padding
    weights: Tensor | None = None  # [N, T] weight of each token's gain; None: 1


class Diagnostics(NamedTuple):
    """Sums over the sampled tokens of one batch, so that batches add up."""

    tokens: Tensor  # the number of sampled tokens
    kl: Tensor  # k3 estimate of D_KL(π_θ ‖ π_ref), nats; 0 where beta = 0
    clipped_low: Tensor  # tokens whose gradient the clip removed: ratio below 1 - ε_low and negative advantage
    clipped_high: Tensor  # ratio above 1 + ε_high and positive advantage
    ratio: Tensor  # π_θ/π_old


def grpo_loss(
    inputs: LossInputs,
    *,
    clip_low: float,
    clip_high: float,
    beta: float,
    weighted_kl: bool = False,
    aggregation: Aggregation,
    max_completion: int,
) -> tuple[Tensor, Diagnostics]:
    """Minus RELATE's eq. 6, per token -[min(ρ A, clip(ρ, 1 - ε_low, 1 + ε_high) A) - β · KL], aggregated over texts.

    ρ = exp(logp - old_logp);  KL = exp(ref_logp - logp) - (ref_logp - logp) - 1 ≥ 0        k3, Schulman 2020:
        http://joschu.net/blog/kl-approx.html

    weights: min(π_old/π_sampler, C), where the sampler differs from π_old (truncated importance sampling, Yao et al.
    2025: https://fengyao.notion.site/off-policy-rl; TRL's token_truncate).
    weighted_kl: use ρ · KL. Texts are drawn from π_old, and only with that weight is the gradient the gradient of
    D_KL(π_θ ‖ π_ref), even at ρ = 1 (DeepSeek-V3.2, arXiv 2512.02556; TRL's default).

    aggregation:  sum       1/N · Σ_i Σ_t / max_completion     the paper's sum up to a constant; tokens weigh alike
                  sequence  1/N · Σ_i mean_t                   each text weighs the same (DeepSeekMath's GRPO)
                  token     Σ_i Σ_t / Σ_i |y_i|                mean over all tokens (DAPO)
    """
    logp, advantages = inputs.logp, inputs.advantages
    ratio = torch.exp(logp - inputs.old_logp)
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip_low, 1 + clip_high) * advantages)
    if inputs.weights is not None:
        gain = gain * inputs.weights
    if beta == 0:
        kl = torch.zeros_like(logp)
        loss = -gain
    elif inputs.ref_logp is None:
        raise ValueError(f"beta {beta} needs the reference's log-probabilities: pass ref_logp, or set beta to 0")
    else:
        ahead = inputs.ref_logp - logp
        kl = torch.exp(ahead) - ahead - 1
        loss = beta * (ratio * kl if weighted_kl else kl) - gain

    mask = inputs.mask.to(logp.dtype)
    with torch.no_grad():
        watched = Diagnostics(
            tokens=mask.sum(),
            kl=(kl * mask).sum(),
            clipped_low=((ratio < 1 - clip_low) & (advantages < 0)).mul(mask).sum(),
            clipped_high=((ratio > 1 + clip_high) & (advantages > 0)).mul(mask).sum(),
            ratio=(ratio * mask).sum(),
        )
    return _aggregate(loss * mask, mask, aggregation, max_completion), watched


def _aggregate(loss: Tensor, mask: Tensor, aggregation: Aggregation, max_completion: int) -> Tensor:
    match aggregation:
        case "sum":
            return loss.sum() / (len(loss) * max_completion)
        case "sequence":
            return (loss.sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()  # an empty text adds 0
        case "token":
            return loss.sum() / mask.sum().clamp(min=1)
    raise ValueError(f"aggregation {aggregation!r} is unknown: use sum, sequence or token")
