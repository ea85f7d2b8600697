"""How much memory a GRPO run takes on each rank, counted before anything is loaded. Light: no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields

from trainer.config import GrpoConfig

GIB = 1 << 30
_BUCKETS = 2 * 10**9  # bytes of DeepSpeed's buckets for reducing gradients


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The dimensions of a decoder with a gated MLP that determine its memory."""

    weights: int
    adapter: int  # weights that LoRA adds; 0: all weights are trained
    layers: int
    hidden: int
    intermediate: int
    kv_width: int  # key-value heads × their width
    vocabulary: int


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes per rank."""

    weights: int
    gradients: int  # with DeepSpeed's buckets
    optimiser: int  # Adam's two moments, and float32 masters of bfloat16 weights
    reference: int
    activations: int  # one micro-batch
    logits: int  # one micro-batch in float32, with their gradient
    sampler: int  # vLLM's own copy of the weights
    cache: int  # keys and values of the texts that are sampled at once

    @property
    def total(self) -> int:
        return sum(getattr(self, part.name) for part in fields(self))

    def __str__(self) -> str:
        parts = ", ".join(f"{part.name} {getattr(self, part.name) / GIB:.2f}" for part in fields(self))
        return f"about {self.total / GIB:.1f} GiB per rank: {parts}"


def estimate(config: GrpoConfig, shape: ModelShape, prompt_tokens: int) -> Memory:
    """The memory of a run with prompts of P tokens.

    A row of micro_groups · (P + G·R) tokens keeps about 10·h + 4·i values per token and layer for the backward pass
    (h hidden, i intermediate; Korthikanti et al. 2022, for gated MLPs); gradient checkpointing keeps h per token and
    layer, and one whole layer. ZeRO-2 divides gradients and optimiser state among the ranks.
    """
    bfloat16, deepspeed = config.precision == "bfloat16", config.engine == "deepspeed"
    width = 2 if bfloat16 else 4
    frozen = 2 if bfloat16 and (shape.adapter or deepspeed) else 4  # bytes per weight of the model itself
    trained = shape.adapter or shape.weights
    masters = 4 if bfloat16 and deepspeed and not shape.adapter else 0
    texts = config.micro_groups * config.group_size * config.max_completion
    row = config.micro_groups * prompt_tokens + texts
    layer = (10 * shape.hidden + 4 * shape.intermediate) * width
    kept = shape.layers * shape.hidden * width + layer if config.gradient_checkpointing else shape.layers * layer
    prompts = config.prompts_per_step // config.ranks
    cached = prompts * (prompt_tokens + config.group_size * config.max_completion)
    return Memory(
        weights=shape.weights * frozen + shape.adapter * 4,
        gradients=trained * (4 if shape.adapter else frozen) // config.ranks + (_BUCKETS if deepspeed else 0),
        optimiser=trained * (8 + masters) // config.ranks,
        reference=0 if config.beta == 0 else shape.adapter * 4 or shape.weights * frozen,
        activations=row * kept,
        logits=2 * 4 * texts * shape.vocabulary,
        sampler=shape.weights * width if config.rollout == "vllm" else 0,
        cache=cached * 2 * shape.layers * shape.kv_width * (width if config.rollout == "vllm" else frozen),
    )
