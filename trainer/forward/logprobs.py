"""log π of chosen tokens from logits. It works on few rows at a time, which fit into the cache, and allocates no second
matrix of the vocabulary's width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# logits worked on at a time: 4 MiB in float32 stay in a CPU's cache; a GPU wants few large calls
_CACHE, _DEVICE = 1 << 20, 1 << 26


def selected_logprobs(logits: Tensor, rows: Tensor, ids: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """(log softmax(logits / temperature)[rows, ids], entropy of those rows in nats, without gradient), both [M] in
    float32.

    logits [K, V]; rows, ids [M]. A row may be chosen more than once: a prompt's completions share the one that predicts
    their first tokens.
    """
    apply: Any = _SelectedLogprobs.apply
    chosen: tuple[Tensor, Tensor] = apply(logits, rows, ids, temperature)
    return chosen


class _SelectedLogprobs(torch.autograd.Function):
    """∂ log p_id / ∂ logit_v = (1[v = id] - p_v) / temperature. Only the logits and one normaliser per row are kept for
    it, no softmax.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, rows: Tensor, ids: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        normaliser = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
        entropy = torch.empty_like(normaliser)
        for part in _chunks(logits):
            scaled = logits[part].float() / temperature
            highest = scaled.amax(dim=1, keepdim=True)
            weights = torch.exp(scaled - highest)
            total = weights.sum(dim=1)
            normaliser[part] = highest[:, 0] + total.log()
            entropy[part] = normaliser[part] - weights.mul_(scaled).sum(dim=1) / total
        ctx.save_for_backward(logits, rows, ids, normaliser)
        ctx.temperature = temperature
        ctx.mark_non_differentiable(chosen := entropy[rows])
        return logits[rows, ids].float() / temperature - normaliser[rows], chosen

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None, None]:
        logits, rows, ids, normaliser = ctx.saved_tensors
        token_gradient: Tensor = gradients[0] / ctx.temperature
        row_gradient = torch.zeros_like(normaliser).index_add_(0, rows, token_gradient)
        gradient = torch.empty_like(logits)
        for part in _chunks(logits):
            softmax = torch.exp(logits[part].float() / ctx.temperature - normaliser[part, None])
            exact = softmax.mul_(-row_gradient[part, None])  # summed in float32: where p is near 1 the two terms cancel
            here = (rows >= part.start) & (rows < part.stop)
            exact.index_put_((rows[here] - part.start, ids[here]), token_gradient[here], accumulate=True)
            gradient[part] = exact
        return gradient, None, None, None


def _chunks(logits: Tensor) -> list[slice]:
    size = max((_CACHE if logits.device.type == "cpu" else _DEVICE) // logits.shape[1], 1)
    return [slice(start, start + size) for start in range(0, len(logits), size)]
