"""The configurations of supervised fine-tuning and of direct preference optimisation."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from trainer.config.base import Count, Positive, Precision, Settings, Strings


class LoraSettings(Settings):
    """Low-rank updates of frozen weights: W + (alpha / rank) · B·A. There is no dropout: π_old and π_θ must be one
    distribution.
    """

    rank: Count = 16
    alpha: Count = 32
    # names of the adapted layers, as the model's architecture calls them
    targets: Annotated[Strings, Field(min_length=1)] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )


class _FineTuning(Settings):
    """What both kinds of fine-tuning are told."""

    language: str = "en"
    lora: LoraSettings | None = LoraSettings()  # null: all weights are trained
    precision: Precision = "float32"  # precision of the weights; an adapter's stay float32
    epochs: Count = 1
    micro_batch: Count = 1  # rows in one forward pass
    gradient_checkpointing: bool = False
    seed: int = 0

    batch_size: Count = 4  # rows per optimiser step

    @model_validator(mode="after")
    def _can_learn(self) -> Self:
        if self.batch_size % self.micro_batch:
            raise ValueError(f"batch_size {self.batch_size} must be a multiple of micro_batch {self.micro_batch}")
        if self.precision == "bfloat16" and self.lora is None:
            raise ValueError(
                "precision bfloat16 with all weights trained would round small steps away: use float32, or set lora"
            )
        return self


class SftConfig(_FineTuning):
    """Supervised fine-tuning (SFT) on reference texts: a baseline, and where GRPO starts (RELATE §4.1.3)."""

    batch_size: Count = 4  # queries per step, each with all its references
    learning_rate: Positive = 5e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 5


class DpoConfig(_FineTuning):
    """Direct preference optimisation (DPO) of a fine-tuned policy on pairs of its own texts: the second stage of the
    two-stage way.
    """

    queries: Count | None = None  # training queries that pairs are made of, evenly spread; null: all
    samples: Annotated[int, Field(ge=2)] = 5  # texts per query, of which the best and the worst become a pair
    batch_size: Count = 8  # pairs per step
    learning_rate: Positive = 5e-5
    beta: Positive = 0.1  # weight of the KL to the policy that training starts from
