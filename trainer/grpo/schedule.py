"""Prompts, seed and learning rate of each step. They follow from the config alone, so a resumed run needs only its
step.
"""

from __future__ import annotations

import random
from hashlib import sha256

from trainer.config import GrpoConfig


def prompts_at(step: int, prompts: int, config: GrpoConfig) -> list[int]:
    """Numbers of the step's prompts, for all ranks: every epoch shuffles all prompts again."""
    first = step * config.prompts_per_step
    return [
        _epoch(place // prompts, prompts, config.seed)[place % prompts]
        for place in range(first, first + config.prompts_per_step)
    ]


def sampling_seed(step: int, rank: int, config: GrpoConfig) -> int:
    """The rollout's seed, different for each step and rank."""
    return int.from_bytes(sha256(f"{config.seed} {step} {rank}".encode()).digest()[:6], "big")


def learning_rate(step: int, config: GrpoConfig) -> float:
    """Linear warm-up, then constant."""
    return config.learning_rate * min(1.0, (step + 1) / max(config.warmup_steps, 1))


def _epoch(number: int, prompts: int, seed: int) -> list[int]:
    order = list(range(prompts))
    random.Random(f"{seed} {number}").shuffle(order)
    return order
