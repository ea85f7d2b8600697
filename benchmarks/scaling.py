"""What a GRPO step of Qwen3-8B takes on 8 × A800, counted: FLOPs, bytes, seconds, memory, cost. `docs/scaling.md`
explains the tables.

    python -m benchmarks.scaling [--mfu 0.40] [--price 2.0]

Nothing is measured here. The same counting gives the FLOP ceilings that `benchmarks.grpo` prints beside measured
ratios.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

import trainer.config
from trainer.config import GrpoConfig, load_config
from trainer.memory import ModelShape, estimate

PRODUCTION = Path(trainer.config.__file__).parents[1] / "configs" / "grpo_qwen3_8xa800.yaml"


@dataclass(frozen=True)
class Shape:
    """A decoder with grouped-query attention and a gated MLP."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool  # one matrix for embedding and head

    @property
    def body(self) -> int:
        """Weights that every token is multiplied with, the head left out; norms are not counted."""
        attention = 2 * self.hidden * self.head_dim * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def head(self) -> int:
        return self.hidden * self.vocabulary

    @property
    def weights(self) -> int:
        return self.body + self.head * (1 if self.tied else 2)

    @property
    def cache_bytes(self) -> int:
        """Keys and values of one token in bfloat16."""
        return self.layers * 2 * self.kv_heads * self.head_dim * 2


SMOLLM2 = Shape(30, 576, 9, 3, 64, 1536, 49152, tied=True)
QWEN3_8B = Shape(36, 4096, 32, 8, 128, 12288, 151936, tied=False)


@dataclass(frozen=True)
class Machine:
    """One GPU of a node, and its share of the links between them."""

    name: str
    gpus: int
    flops: float  # dense bfloat16, a second
    memory_bytes: float
    bandwidth: float  # bytes of memory a second
    link: float  # bytes a second, one direction


A800 = Machine("A800 80 GB", 8, 312e12, 80e9, 2.039e12, 200e9)
MEMORY_EFFICIENCY = 0.7  # share of the memory bandwidth that decoding reaches
MICRO_GROUPS = 4  # groups in one forward and backward pass
DECODE_MFU = 0.5  # share of the peak FLOPs that decoding reaches when the batch is large enough to be bound by them


@dataclass(frozen=True)
class Batch:
    """One optimiser step."""

    prompt: int  # tokens, P
    completion: int  # tokens, R
    texts: int = 1440  # RELATE §4.1
    group: int = 5  # G

    @property
    def groups(self) -> int:
        return self.texts // self.group


def forward(shape: Shape, batch: Batch, *, shared: bool) -> float:
    """FLOPs of one forward pass over a group: 2 a weight and token, 4·d a head and pair of positions that attend; the
    head at completions.

    shared: [prompt, y_1 … y_G] once, P + G·R tokens, instead of G rows of P + R.
    """
    p, r, g = batch.prompt, batch.completion, batch.group
    prompts = 1 if shared else g
    pairs = prompts * p * p / 2 + g * (p * r + r * r / 2)
    attention = 4 * shape.layers * shape.heads * shape.head_dim * pairs
    return 2 * ((prompts * p + g * r) * shape.body + g * r * shape.head) + attention


def ceiling(shape: Shape, batch: Batch) -> float:
    """How many times less a shared prompt needs of the linear layers: G·(P + R)·body + G·R·head over (P + G·R)·body +
    G·R·head.
    """
    p, r, g = batch.prompt, batch.completion, batch.group
    head = g * r * shape.head
    return (g * (p + r) * shape.body + head) / ((p + g * r) * shape.body + head)


@dataclass(frozen=True)
class StepTime:
    """Seconds of one step on one GPU of the node, all GPUs alike."""

    rollout: float
    reference: float
    policy: float
    exchange: float
    push: float

    @property
    def total(self) -> float:
        return self.rollout + self.reference + self.policy + self.exchange + self.push


def step_time(shape: Shape, batch: Batch, machine: Machine, *, mfu: float, shared: bool = True) -> StepTime:
    """rollout: prefill, then R decode steps, each the slower of reading weights and cache and of multiplying.

    reference: one forward. policy: forward, backward and, for checkpointing, the forward again: 4 forwards. exchange:
    ZeRO-2 sums the gradients after every micro-batch and gathers the weights once, (n-1)/n of 2 bytes a weight each
    time, none of it hidden behind computation. push: the new weights into the rollout engine's memory.
    """
    groups, texts = batch.groups / machine.gpus, batch.texts / machine.gpus
    once = groups * forward(shape, batch, shared=shared) / (mfu * machine.flops)
    prefill = groups * 2 * batch.prompt * shape.body / (DECODE_MFU * machine.flops)
    cache = (groups * batch.prompt + texts * batch.completion / 2) * shape.cache_bytes
    read = (2 * (shape.body + shape.head) + cache) / (MEMORY_EFFICIENCY * machine.bandwidth)
    multiply = texts * 2 * (shape.body + shape.head) / (DECODE_MFU * machine.flops)
    passed = (groups / MICRO_GROUPS + 1) * 2 * shape.weights * (machine.gpus - 1) / machine.gpus / machine.link
    push = 2 * 2 * shape.weights / (MEMORY_EFFICIENCY * machine.bandwidth)  # read and written
    return StepTime(prefill + batch.completion * max(read, multiply), once, 4 * once, passed, push)


ENCODERS = 3  # encoders of relevance, the reward model and the held-out reward model
CONTEXT = 3e9  # bytes of CUDA's context and graphs


def adapter_weights(shape: Shape, rank: int) -> int:
    """Weights of low-rank updates of every linear layer: rank · (rows + columns)."""
    heads, kv_heads = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    attention = 2 * (shape.hidden + heads) + 2 * (shape.hidden + kv_heads)
    return shape.layers * rank * (attention + 3 * (shape.hidden + shape.intermediate))


def memory(shape: Shape, batch: Batch, machine: Machine, *, adapted: bool = True) -> dict[str, float]:
    """Bytes on each GPU of the production config, by `trainer.memory`, with the encoders and what CUDA itself takes.
    Not adapted: all weights learn.
    """
    config = load_config(GrpoConfig, PRODUCTION).with_changes(
        batch_size=batch.texts,
        group_size=batch.group,
        max_completion=batch.completion,
        micro_tokens=None,
        micro_groups=MICRO_GROUPS,
    )
    assert config.lora is not None  # the production config trains an adapter
    model = ModelShape(
        weights=shape.weights,
        adapter=adapter_weights(shape, config.lora.rank) if adapted else 0,
        layers=shape.layers,
        hidden=shape.hidden,
        intermediate=shape.intermediate,
        kv_width=shape.kv_heads * shape.head_dim,
        vocabulary=shape.vocabulary,
    )
    counted = estimate(config, model, batch.prompt, gpu=int(machine.memory_bytes), encoders=ENCODERS)
    return {**asdict(counted), "CUDA contexts and graphs": CONTEXT}


def step_table(batches: list[Batch], mfu: float, price: float) -> Table:
    table = Table(
        "prompt/completion",
        "layout",
        "rollout, s",
        "reference, s",
        "policy, s",
        "exchange + push, s",
        "step, s",
        "150 steps, h",
        "cost",
        title=f"Qwen3-8B, 1,440 texts a step, {A800.gpus} × {A800.name}, MFU {mfu:.0%}",
    )
    for batch in batches:
        for shared in (True, False):
            time = step_time(QWEN3_8B, batch, A800, mfu=mfu, shared=shared)
            hours = 150 * time.total / 3600
            table.add_row(
                f"{batch.prompt}/{batch.completion}",
                "shared prompt" if shared else "one row a text",
                f"{time.rollout:.1f}",
                f"{time.reference:.1f}",
                f"{time.policy:.1f}",
                f"{time.exchange + time.push:.1f}",
                f"{time.total:.1f}",
                f"{hours:.2f}",
                f"{hours * A800.gpus * price:.0f} $",
            )
    return table


def memory_table(batches: list[Batch]) -> Table:
    columns = [(batch, adapted) for adapted in (True, False) for batch in batches]
    names = [f"{batch.prompt}/{batch.completion}, {'LoRA' if adapted else 'all weights'}" for batch, adapted in columns]
    table = Table("on each GPU, GB", *names)
    parts = [memory(QWEN3_8B, batch, A800, adapted=adapted) for batch, adapted in columns]
    for name in parts[0]:
        table.add_row(name, *(f"{part[name] / 1e9:.1f}" for part in parts))
    table.add_row("sum", *(f"{sum(part.values()) / 1e9:.1f}" for part in parts))
    return table


def ceiling_table(batches: list[Batch]) -> Table:
    table = Table("prompt/completion", "SmolLM2-135M", "Qwen3-8B", title="FLOP ceiling of the shared prompt, G = 5")
    for batch in batches:
        table.add_row(
            f"{batch.prompt}/{batch.completion}", *(f"{ceiling(shape, batch):.2f} ×" for shape in (SMOLLM2, QWEN3_8B))
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description="Counted cost of a GRPO step at production size."
    )
    parser.add_argument("--mfu", type=float, default=0.40, help="share of the peak FLOPs that training reaches")
    parser.add_argument("--price", type=float, default=2.0, help="dollars for one GPU and hour")
    chosen = parser.parse_args()
    console = Console(width=150)
    batches = [Batch(150, 60), Batch(400, 60)]
    console.print(step_table(batches, chosen.mfu, chosen.price))
    console.print(memory_table(batches))
    console.print(ceiling_table([Batch(60, 48), *batches]))


if __name__ == "__main__":
    main()
