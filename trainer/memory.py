"""How much memory a GRPO run takes on each rank, counted before anything is loaded. Light: no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields

from trainer.config import GrpoConfig

GIB = 1 << 30
_BUCKET = 5 * 10**8  # values in one of DeepSpeed's buckets
_ENCODER = int(2.4e9)  # bytes: 0.6 billion weights in float32, such as Qwen3-Embedding-0.6B
_CPU_CACHE = GIB  # what vLLM is given for keys and values on a CPU


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
    """Bytes per rank, as if every part stood beside every other: an upper bound of the peak."""

    weights: int
    gradients: int  # this rank's part in float32, and its flat copy in the step
    buckets: int  # DeepSpeed's: two that gradients are reduced in by turns, one that weights are gathered in
    optimiser: int  # Adam's two moments, and masters where the weights are half precision
    reference: int
    activations: int  # activations of one micro-batch
    logits: int  # logits of one micro-batch, float32, with their gradient
    sampler: int  # vLLM: its weights, its cache, its activations and graphs
    push: int  # the largest weight, merged and as the sampler takes it up
    cache: int  # keys and values of the texts that are sampled at once, where the policy itself samples
    encoders: int  # the encoders of relevance and of the reward models

    @property
    def total(self) -> int:
        return sum(getattr(self, part.name) for part in fields(self))

    def __str__(self) -> str:
        parts = ", ".join(f"{part.name} {getattr(self, part.name) / GIB:.2f}" for part in fields(self))
        return f"about {self.total / GIB:.1f} GiB per rank: {parts}"


def estimate(
    config: GrpoConfig, shape: ModelShape, prompt_tokens: int, *, gpu: int | None = None, encoders: int = 0
) -> Memory:
    """Of a run with prompts of P tokens. gpu: bytes of one GPU, of which vLLM takes the share rollout_memory; None: on
    a CPU. encoders: sentence encoders that stand beside the policy.

    A row of micro_groups · (P + G·R) tokens, or of micro_tokens, keeps about 10·h + 4·i values per token and layer for
    the backward pass (h hidden, i intermediate; Korthikanti et al. 2022, for gated MLPs); gradient checkpointing keeps
    h per token and layer, and one whole layer. ZeRO-2 shares gradients and optimiser state among the ranks.
    """
    half, deepspeed = config.precision == "bfloat16", config.engine == "deepspeed"
    width = 2 if half else 4
    frozen = 2 if half and (shape.adapter or deepspeed) else 4  # bytes per weight of the model itself
    trained = shape.adapter or shape.weights
    masters = 4 if half and deepspeed and not shape.adapter else 0
    group = prompt_tokens + config.group_size * config.max_completion
    groups = config.micro_groups if config.micro_tokens is None else max(config.micro_tokens // group, 1)
    texts = groups * config.group_size * config.max_completion
    row = groups * prompt_tokens + texts
    layer = (10 * shape.hidden + 4 * shape.intermediate) * width
    kept = shape.layers * shape.hidden * width + layer if config.gradient_checkpointing else shape.layers * layer
    cached = config.prompts_per_step // config.ranks * group * 2 * shape.layers * shape.kv_width * frozen
    vllm = config.rollout == "vllm"
    own = shape.weights * width + _CPU_CACHE if gpu is None else int(config.rollout_memory * gpu)
    largest = shape.hidden * max(shape.vocabulary if not shape.adapter else 0, shape.intermediate)
    return Memory(
        weights=shape.weights * frozen + shape.adapter * 4,
        gradients=trained * 4 * (2 if deepspeed else 1) // config.ranks,
        buckets=3 * min(_BUCKET, trained) * frozen if deepspeed else 0,
        optimiser=trained * (8 + masters) // config.ranks,
        reference=0 if config.beta == 0 else shape.adapter * 4 or shape.weights * frozen,
        activations=row * kept,
        logits=2 * 4 * texts * shape.vocabulary,
        sampler=own if vllm else 0,
        push=2 * largest * frozen if vllm else 0,
        cache=0 if vllm else cached,
        encoders=encoders * _ENCODER,
    )
