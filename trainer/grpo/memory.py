"""The memory estimate of a run before it starts, compared with the free memory."""

from __future__ import annotations

from typing import Any

import psutil
import torch

from trainer.config import LoraSettings
from trainer.memory import GIB, Memory, ModelShape


def shape_of(model: Any, lora: LoraSettings | None) -> ModelShape:
    """The shape of a transformers config. Weights are counted on the meta device, without storage."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(model)  # type: ignore[no-untyped-call]
    adapted = [
        module.weight.shape
        for name, module in empty.named_modules()
        if lora and name.rpartition(".")[2] in lora.targets
    ]
    head = getattr(model, "head_dim", None) or model.hidden_size // model.num_attention_heads
    return ModelShape(
        weights=sum(weight.numel() for weight in empty.parameters()),
        adapter=sum(lora.rank * (rows + columns) for rows, columns in adapted) if lora else 0,
        layers=model.num_hidden_layers,
        hidden=model.hidden_size,
        intermediate=model.intermediate_size,
        kv_width=model.num_key_value_heads * head,
        vocabulary=model.vocab_size,
    )


def available() -> int:
    """Free bytes where the policy will train."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available)


def gpu_memory() -> int | None:
    """Bytes of the GPU that this process uses; None without one."""
    return int(torch.cuda.mem_get_info()[1]) if torch.cuda.is_available() else None


def memory_line(memory: Memory, free: int) -> str:
    """One line for the terminal, with a warning where the run will not fit."""
    short = (
        " (this will not fit: lower micro_groups or max_completion, set gradient_checkpointing: true, or use lora)"
        if memory.total > free
        else ""
    )
    return f"memory: {memory}; {free / GIB:.1f} GiB are free{short}"
