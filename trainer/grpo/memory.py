"""How much memory a run will take on each rank, counted before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from trainer.config import GrpoConfig

_GIB = 1 << 30


@dataclass(frozen=True)
class Memory:
    """Bytes a rank."""

    weights: int
    optimiser: int  # masters where the weights are half, Adam's two moments, gradients
    reference: int
    activations: int  # of one micro-batch, its logits included
    rollout: int  # key-value cache of transformers; vLLM takes what its own setting says

    @property
    def total(self) -> int:
        return self.weights + self.optimiser + self.reference + self.activations + self.rollout

    def __str__(self) -> str:
        parts = ("weights", "optimiser", "reference", "activations", "rollout")
        return f"about {self.total / _GIB:.1f} GiB a rank: " + ", ".join(
            f"{name} {getattr(self, name) / _GIB:.2f}" for name in parts
        )


def estimate(config: GrpoConfig, model: Any, prompt_tokens: int) -> Memory:
    """Of a run with prompts of P tokens. model: a transformers config, or its text part.

    With L = micro_groups · (P + G·R) tokens a row, h hidden, i intermediate: a layer keeps about 10·h + 4·i values a
    token for its backward pass (Korthikanti et al. 2022, for gated MLPs), checkpointing h and one whole layer; logits
    twice in float32 at the sampled tokens. ZeRO-2 shares optimiser and gradients among ranks.
    """
    full, adapter = _parameters(config, model)
    half = config.precision == "bfloat16"
    trained = adapter or full
    frozen_width = 2 if half and (config.lora or config.engine == "deepspeed") else 4
    masters = 4 if half and not config.lora and config.engine == "deepspeed" else 0
    width = 2 if half else 4
    hidden, layers = model.hidden_size, model.num_hidden_layers
    texts = config.micro_groups * config.group_size * config.max_completion
    row = config.micro_groups * prompt_tokens + texts
    layer = (10 * hidden + 4 * model.intermediate_size) * width
    kept = layers * hidden * width + layer if config.gradient_checkpointing else layers * layer
    head = getattr(model, "head_dim", None) or hidden // model.num_attention_heads
    entry = 2 * layers * model.num_key_value_heads * head * frozen_width
    mine = config.prompts_per_step // config.ranks
    return Memory(
        weights=full * frozen_width + adapter * 4,
        optimiser=trained * (masters + 8 + 4) // config.ranks,
        reference=0 if config.beta == 0 else adapter * 4 or full * frozen_width,
        activations=row * kept + 2 * 4 * texts * model.vocab_size,
        rollout=mine * (prompt_tokens + config.group_size * config.max_completion) * entry
        if config.rollout == "hf"
        else 0,
    )


def available() -> int:
    """Free bytes where the policy will train."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available)


def said(memory: Memory) -> str:
    """One line for the terminal; a warning where it will not fit."""
    free = available()
    short = (
        " (this will not fit: lower micro_groups or max_completion, set gradient_checkpointing: true, or use lora)"
        if memory.total > free
        else ""
    )
    return f"memory: {memory}; {free / _GIB:.1f} GiB are free{short}"


def _parameters(config: GrpoConfig, model: Any) -> tuple[int, int]:
    """(of the model, of the adapter), counted on a model without storage."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(model)  # type: ignore[no-untyped-call]
    full = sum(weight.numel() for weight in empty.parameters())
    if config.lora is None:
        return full, 0
    names: Sequence[str] = config.lora.targets
    shapes = [module.weight.shape for name, module in empty.named_modules() if name.rpartition(".")[2] in names]
    return full, sum(config.lora.rank * (rows + columns) for rows, columns in shapes)
