"""GRPO, as the paper's algorithm: rollout → rewards → credit → advantage → loss → step → sync, until a limit breaks or
all steps are taken (RELATE §3.4, §4.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from adtext.rules import load_rules
from trainer.config import GrpoConfig
from trainer.credit import token_rewards
from trainer.distributed import Ranks
from trainer.grpo.advantage import sentence_advantages, token_advantages
from trainer.grpo.constraints import Candidate
from trainer.grpo.curves import Curve, StepRecord, curve_of, records, vitals_of
from trainer.grpo.log import RunLog
from trainer.grpo.schedule import learning_rate, prompts_at, sampling_seed
from trainer.grpo.setup import Inputs, Policy, check_start, identity, make_policy, make_rewards, make_rollout
from trainer.grpo.state import Outcome, RunState
from trainer.grpo.step import StepReport, optimise
from trainer.grpo.stopwatch import Stopwatch
from trainer.grpo.trackers import Trackers
from trainer.policy import merged_weights, prompt_ids
from trainer.prompts import Prompt
from trainer.rewards import Rewards, Sample, Scored, read
from trainer.rollout.base import Group, Rollout
from trainer.rollout.drift import check_drift, sampler_logprobs


def train_grpo(
    config: GrpoConfig,
    inputs: Inputs,
    prompts: Sequence[Prompt],
    out: Path,
    *,
    watch: Callable[[Curve], None] | None = None,
) -> Outcome:
    """Train a policy and write the best checkpoint's policy to out/policy. A killed run resumes from its last
    checkpoint.

    ConfigError is raised before anything is loaded or trained. RewardError, NotFiniteError and CheckpointError stop the
    run between two steps.
    """
    ranks = Ranks(config)
    trackers = Trackers(config, out, write=ranks.main)
    if ranks.main:
        check_start(config, inputs, prompts)
        identity(config, inputs, prompts).claim(out)
    rewards = make_rewards(config, inputs, prompts)
    policy = make_policy(config, inputs, ranks)
    run = Run(config, ranks, policy, make_rollout(config, inputs, policy, prompts), rewards, prompts, out)

    def seen(curve: Curve) -> None:
        trackers.log(curve)
        if watch:
            watch(curve)

    with trackers:
        return run.train(seen)


@dataclass
class Run:
    """One GRPO run on this rank."""

    config: GrpoConfig
    ranks: Ranks
    policy: Policy
    rollout: Rollout
    rewards: Rewards
    prompts: Sequence[Prompt]
    out: Path

    def __post_init__(self) -> None:
        self.rules = load_rules()
        self.log = RunLog(self.out)
        self.state = RunState(self.config, self.ranks, self.policy, self.rewards, self.out)

    def train(self, watch: Callable[[Curve], None] | None = None) -> Outcome:
        """All steps that remain."""
        step = self.state.resume()
        if step:
            self._sync()
        if self.ranks.main:
            self.log.begin(step=step)
        stopped = None
        while step < self.config.steps and stopped is None:
            curve = self._record(step, self.step(step))
            step += 1
            if watch and self.ranks.main:
                watch(curve)
            stopped = self.state.watch.look(vitals_of(curve, self.config.group_size))
            if stopped is None and (step % self.config.checkpoint_every == 0 or step == self.config.steps):
                self.state.checkpoint(step)
        if stopped:
            self.state.distrust_window(step, stopped)
        return self.state.finish(step, stopped)

    def step(self, step: int) -> StepRecord:
        """One rollout and the optimiser steps on it."""
        time = Stopwatch()
        prompts = [self.prompts[number] for number in prompts_at(step, len(self.prompts), self.config)]
        groups, drift = self._sample(step, self.ranks.share(prompts))
        time.lap("rollout")
        samples = [
            read(group.prompt, text.text, self.rules, cut=not text.finished)
            for group in groups
            for text in group.completions
        ]
        scored = self._score(step, prompts, samples)
        time.lap("rewards")
        charges = self._charges(groups, samples, scored)
        sentence = self._sentence_advantages(scored)
        advantages = token_advantages(sentence, charges, self.config.alpha)
        time.lap("credit")
        report = self._optimise(step, groups, advantages)
        time.lap("optimise")
        self._sync()
        time.lap("sync")
        return StepRecord(groups, samples, scored, charges, sentence, advantages, report, drift, time.seconds)

    def _sample(self, step: int, prompts: Sequence[Prompt]) -> tuple[list[Group], float | None]:
        """G texts of every prompt from π_θ, and the drift of the sampler where it keeps a copy of the weights."""
        config = self.config
        ids = [prompt_ids(self.policy.tokenizer, prompt) for prompt in prompts]
        seed = sampling_seed(step, self.ranks.number, config)
        groups = self.rollout.sample(prompts, ids, config.group_size, seed=seed)
        copied = self.rollout.name != "hf"
        return groups, check_drift(self.policy.plain, groups[0], config.drift) if copied else None

    def _score(self, step: int, prompts: Sequence[Prompt], samples: Sequence[Sample]) -> Scored:
        """The rewards of this rank's samples. Before that, the terms observe the samples of all ranks. prompts: those
        of all ranks.
        """
        written = self.ranks.gather(
            [(sample.completion, sample.text, sample.findings, sample.cut) for sample in samples]
        )
        repeated = [prompt for prompt in prompts for _ in range(self.config.group_size)]
        everyone = [Sample(prompt, *parts) for prompt, parts in zip(repeated, written, strict=True)]
        if step == 0:
            self.rewards.fit(everyone)
        self.rewards.observe(everyone)
        return self.rewards.score(samples, self.state.multipliers())

    def _charges(self, groups: Sequence[Group], samples: Sequence[Sample], scored: Scored) -> Tensor:
        """r_t of every sampled token, [N, T], 0 on padding     (RELATE eq. 5)."""
        texts = [text for group in groups for text in group.completions]
        rows = [
            token_rewards(self.policy.tokenizer, text.ids, sample.text, charges)
            for text, sample, charges in zip(texts, samples, scored.charges, strict=True)
        ]
        charged = np.zeros((len(rows), max(map(len, rows))), dtype=np.float32)
        for row, padded in zip(rows, charged, strict=True):
            padded[: len(row)] = row
        return torch.from_numpy(charged)

    def _sentence_advantages(self, scored: Scored) -> Tensor:
        """A_i of every text, [N]     (RELATE eq. 8)."""
        rewards = torch.as_tensor(scored.sentence, dtype=torch.float32)
        return sentence_advantages(rewards.reshape(-1, self.config.group_size)).flatten()

    def _optimise(self, step: int, groups: Sequence[Group], advantages: Tensor) -> StepReport:
        """The optimiser steps on one rollout     (RELATE eq. 6)."""
        for parameters in self.policy.optimizer.param_groups:
            parameters["lr"] = learning_rate(step, self.config)
        return optimise(
            self.policy.model,
            self.policy.optimizer,
            [group.ids for group in groups],
            advantages,
            self.config,
            reference=self.policy.reference,
            sampler=sampler_logprobs(groups) if self.config.sampler_cap else None,
            accelerator=self.ranks.accelerator,
        )

    def _sync(self) -> None:
        """Push the new weights to the sampler where it keeps a copy."""
        if self.rollout.name != "hf":
            self.rollout.push(merged_weights(self.policy.plain, changed=True))

    def _record(self, step: int, taken: StepRecord) -> Curve:
        """Update the multipliers and write the step's records. Returns the means over all ranks."""
        spread = self.rewards.spread_within(taken.scored, self.config.group_size)
        curve = curve_of(step, taken, spread, learning_rate(step, self.config), self.ranks)
        if (multipliers := self.state.observe(Candidate.of(step + 1, curve))) is not None:
            curve["multipliers"] = multipliers
        if self.ranks.main:
            self.log.step(curve, records(step, self.policy.tokenizer, taken))
        return curve
