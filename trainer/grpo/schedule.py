"""Prompts, seed and learning rate of each step. They depend on the config alone, so a resumed run needs only its
step.
"""

from __future__ import annotations

import random
from hashlib import sha256
from math import cos, pi

from trainer.config import GrpoConfig


def prompts_at(step: int, prompts: int, config: GrpoConfig) -> list[int]:
    """The indices of the step's prompts, for all ranks. Every epoch shuffles all prompts again."""
    first = step * config.prompts_per_step
    return [
        _epoch(place // prompts, prompts, config.seed)[place % prompts]
        for place in range(first, first + config.prompts_per_step)
    ]


def sampling_seed(step: int, rank: int, config: GrpoConfig) -> int:
    """The rollout's seed, different for each step and rank."""
    return int.from_bytes(sha256(f"{config.seed} {step} {rank}".encode()).digest()[:6], "big")


def learning_rate(step: int, config: GrpoConfig) -> float:
    """Linear warm-up, then constant, or linear or cosine decay to the floor, which is reached at decay_steps.

    With u = (step − warm-up) / (decay_steps − warm-up) in [0, 1]:
    linear 1 − u, cosine (1 + cos πu)/2, each times (1 − floor), plus the floor.
    """
    peak, warmup = config.learning_rate, config.warmup_steps
    if step < warmup or config.decay_steps is None:
        return peak * min(1.0, (step + 1) / max(warmup, 1))
    done = min(1.0, (step - warmup) / (config.decay_steps - warmup))
    left = 1 - done if config.decay == "linear" else (1 + cos(pi * done)) / 2
    return peak * (config.learning_rate_floor + (1 - config.learning_rate_floor) * left)


def _epoch(number: int, prompts: int, seed: int) -> list[int]:
    order = list(range(prompts))
    random.Random(f"{seed} {number}").shuffle(order)
    return order
