"""Small policies and groups that tests of training start from: two layers, random weights, grouped-query attention."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from trainer.config import GrpoConfig, LoraSettings
from trainer.forward.ids import Ids
from trainer.packaged_model import packaged_gguf
from trainer.policy import _with_fresh_adapter

VOCABULARY = 97
_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.2,  # far from uniform: a wrong mask shows
    "attn_implementation": "sdpa",
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}


def a_policy(kind: str = "llama", *, lora: bool = False, seed: int = 0) -> Any:
    """A random Llama or Qwen3 in float32; with lora only an adapter of rank 4 trains, one that already says
    something.
    """
    torch.manual_seed(seed)
    model: Any = LlamaForCausalLM(LlamaConfig(**_SHAPE)) if kind == "llama" else Qwen3ForCausalLM(Qwen3Config(**_SHAPE))
    if lora:
        model = _with_fresh_adapter(model, LoraSettings(rank=4, alpha=8))
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight.normal_(std=0.1)
    return model.eval()


def some_groups(
    lengths: tuple[tuple[int, tuple[int, ...]], ...] = ((7, (3, 5, 1)), (4, (2, 6, 4))), seed: int = 0
) -> list[Ids]:
    """One group per (prompt's length, completions' lengths), of random ids."""
    chance = torch.Generator().manual_seed(seed)

    def ids(number: int) -> list[int]:
        drawn: list[int] = torch.randint(3, VOCABULARY, (number,), generator=chance).tolist()
        return drawn

    return [Ids(ids(prompt), [ids(length) for length in completions]) for prompt, completions in lengths]


def a_config(**changes: Any) -> GrpoConfig:
    """A GRPO run without a reference; keywords change it."""
    return GrpoConfig(**({"beta": 0.0, "batch_size": 5, "max_completion": 8} | changes))


def gradients(model: Any) -> dict[str, Tensor]:
    """Every trained weight's gradient, by name."""
    return {
        name: weight.grad.clone()
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.grad is not None
    }


def distance(ours: Tensor, theirs: Tensor) -> float:
    """‖g - g'‖ / ‖g'‖."""
    return float((ours - theirs).norm() / theirs.norm())


class Frozen:
    """A reference policy that is a model of its own."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @contextmanager
    def active(self) -> Iterator[Any]:
        yield self._model


@cache
def byte_level_tokenizer() -> Any:
    """The packaged model's own tokenizer."""
    gguf = packaged_gguf()
    return AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
