"""Attention over rows that share prompts, block by block instead of under a dense mask.

In a row `[prompt, y_1 … y_G]` a dense mask spends (P + G·R)² products on what needs P² + G·R·(P + R). Here prompts
attend to themselves in one call, and completions to their prompt and themselves in another, each as a batch. The result
is the dense mask's, to rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "shared_prompt"  # name of the attention implementation, and of its argument that holds the blocks


class Blocks(NamedTuple):
    """The positions of B prompts (at most P tokens) and their N completions (at most R) in a row of L tokens. Padding
    may point to any position.
    """

    prompt_at: Tensor  # [B, P] positions in the row
    completion_at: Tensor  # [N, R]
    prompt_of: Tensor  # [N] the completion's prompt
    visible: Tensor  # [N or 1, 1, R, P + R] bool: which tokens of its prompt and of itself a completion's token sees
    back: Tensor  # [L] position of every token of the row in [prompts, completions], each flattened with its padding


def use_shared_prompt_attention(model: Any) -> None:
    """Let the model take `shared_prompt=Blocks`. A call without it attends as with "sdpa": the same model also
    generates.
    """
    if model.config._attn_implementation != NAME:
        model.set_attn_implementation(NAME)


def _attend(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, *,
    scaling: float | None = None, shared_prompt: Blocks | None = None, **more: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """query [1, H, L, D], key and value [1, H_kv, L, D] → [1, L, H, D], as every attention of transformers."""
    if shared_prompt is None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **more)
        return output, None
    prompt_at, completion_at, prompt_of, visible, back = shared_prompt
    shared_heads = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, shared_heads), repeat_kv(value, shared_heads)

    queries, keys, values = (_blocks(states, prompt_at) for states in (query, key, value))
    of_prompts = scaled_dot_product_attention(queries, keys, values, is_causal=True, scale=scaling)
    own_queries, own_keys, own_values = (_blocks(states, completion_at) for states in (query, key, value))
    all_keys, all_values = (
        torch.cat((keys[prompt_of], own_keys), dim=2),
        torch.cat((values[prompt_of], own_values), dim=2),
    )
    of_completions = scaled_dot_product_attention(own_queries, all_keys, all_values, attn_mask=visible, scale=scaling)

    heads, width = query.shape[1], value.shape[-1]
    flat = [output.transpose(1, 2).reshape(-1, heads, width) for output in (of_prompts, of_completions)]
    return torch.cat(flat).index_select(0, back)[None], None


def _blocks(states: Tensor, at: Tensor) -> Tensor:
    """[1, H, L, D] at places [N, T] → [N, H, T, D]."""
    chosen = states[0].transpose(0, 1).index_select(0, at.flatten())  # [N·T, H, D]
    return chosen.view(*at.shape, *chosen.shape[1:]).transpose(1, 2)


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
