"""Runs of the loop that take seconds: a random policy, and a reward that even it can raise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.trainer.small import small_prompts
from trainer.config import GrpoConfig, Limits
from trainer.distributed import Ranks
from trainer.grpo.setup import Inputs, identity, make_policy, make_rollout
from trainer.grpo.train import Outcome, Run
from trainer.policy import load_policy, trained_state
from trainer.rewards import FloatArray, Rewards, Sample, Term
from trainer.rewards.diversity import Diversity

WIDE = Limits(kl=None, shortest=0.0, longest=None, distinct=0.0, gap=None)  # a policy that writes no ads has none


class Vowels(Term):
    """Share of vowels in a completion, parsed or not: something that a policy without words can learn."""

    def score(self, samples: Sequence[Sample]) -> FloatArray:
        return np.array(
            [sum(char in "aeiou" for char in sample.completion) / max(len(sample.completion), 1) for sample in samples]
        )


def a_run_config(**changes: Any) -> GrpoConfig:
    usual = {
        "steps": 6,
        "batch_size": 10,
        "max_completion": 8,
        "checkpoint_every": 2,
        "learning_rate": 3e-3,
        "terms": {"length": {"weight": 1.0}, "diversity": {"weight": 0.5, "level": "token"}},
        "limits": WIDE,
        "micro_groups": 2,
        "warmup_steps": 2,
    }
    return GrpoConfig.model_validate(usual | changes)


def a_run(policy: Path, out: Path, config: GrpoConfig, term: Any = None) -> Run:
    """A run as train_grpo makes it, but for its rewards."""
    inputs = Inputs(policy=str(policy))
    identity(config, inputs, small_prompts()).claim(out)
    ranks = Ranks(config)
    made = make_policy(config, inputs, ranks)
    terms = {"length": term or Vowels(), "diversity": Diversity()}
    rewards = Rewards(terms, config.terms.weights("sentence"), config.terms.weights("token"))
    rollout = make_rollout(config, inputs, made, small_prompts())
    return Run(config, ranks, made, rollout, rewards, small_prompts(), out)


def trained(policy: Path, out: Path, config: GrpoConfig, term: Any = None) -> Outcome:
    return a_run(policy, out, config, term).train()


def weights(policy: Path, config: GrpoConfig) -> dict[str, Any]:
    return trained_state(load_policy(policy, lora=config.lora)[0])


def curves(out: Path) -> list[dict[str, Any]]:
    """Every step, without what the clock says."""
    lines = (out / "curves.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]
