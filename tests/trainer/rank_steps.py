"""Optimiser steps on fixed groups, alone or as one rank of several; run as a program by test_zero2.

python -m tests.trainer.rank_steps POLICY RANKS OUT
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from tests.trainer.runs import a_run_config
from trainer.config import GrpoConfig
from trainer.distributed import Ranks
from trainer.forward.ids import Ids
from trainer.grpo.step import optimise
from trainer.policy import Reference, load_policy, trained_state

GROUPS, GROUP_SIZE = 4, 3


def some_ids(vocabulary: int) -> list[Ids]:
    """Prompts and completions of unequal lengths."""
    chance = torch.Generator().manual_seed(5)

    def ids(length: int) -> list[int]:
        drawn: list[int] = torch.randint(2, vocabulary, (length,), generator=chance).tolist()
        return drawn

    return [
        Ids(ids(9 + group), [ids(3 + (group * GROUP_SIZE + text) % 5) for text in range(GROUP_SIZE)])
        for group in range(GROUPS)
    ]


def steps(
    policy: Path, config: GrpoConfig, *, number: int, sgd: bool
) -> tuple[list[float], list[float], dict[str, Any]]:
    """(losses, gradient norms, weights after the last step) of `number` steps; with sgd a step is minus the
    gradient.
    """
    ranks = Ranks(config)
    model, tokenizer = load_policy(policy)
    reference = Reference(model)
    weights = list(model.parameters())
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD(weights, lr=1.0) if sgd else torch.optim.AdamW(weights, lr=1e-2, weight_decay=0.0)
    )
    prepared, stepping = ranks.prepare(model, optimizer)
    groups = some_ids(len(tokenizer))
    advantages = torch.randn(GROUPS * GROUP_SIZE, 8, generator=torch.Generator().manual_seed(7))
    mine = ranks.share(list(zip(groups, advantages.split(GROUP_SIZE), strict=True)))
    reports = [
        optimise(
            prepared,
            stepping,
            [ids for ids, _ in mine],
            torch.cat([own for _, own in mine]),
            config,
            reference=reference,
            accelerator=ranks.accelerator,
        )
        for _ in range(number)
    ]
    final = {name: weight.clone() for name, weight in trained_state(model).items()}
    return [report.loss for report in reports], [report.grad_norm for report in reports], final


def cases(ranks: int) -> dict[str, tuple[GrpoConfig, int, bool]]:
    """By name: config, number of steps, whether a step is minus the gradient."""
    usual = {
        "ranks": ranks,
        "engine": "deepspeed" if ranks > 1 else "torch",
        "group_size": GROUP_SIZE,
        "batch_size": GROUPS * GROUP_SIZE,
        "micro_groups": 1,
        "max_grad_norm": 1e6,
    }
    return {
        "gradient": (a_run_config(**usual), 1, True),
        "gradient, separate prompts": (a_run_config(**usual, shared_prompt=False), 1, True),
        "gradient, mean over tokens": (a_run_config(**usual, aggregation="token"), 1, True),
        "gradient, micro-batches by tokens": (a_run_config(**usual, micro_tokens=30), 1, True),
        "three steps": (a_run_config(**usual), 3, False),
    }


if __name__ == "__main__":
    policy, ranks, out = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    found = {
        name: steps(policy, config, number=number, sgd=sgd) for name, (config, number, sgd) in cases(ranks).items()
    }
    if torch.distributed.get_rank() == 0:
        torch.save(found, out)
