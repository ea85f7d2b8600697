"""The loop: rollout → rewards → credit → advantage → layout → loss → step → sync, watched, logged and resumable (DESIGN
§6).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from adtext.prompt import parse
from adtext.rules import load_rules
from trainer.checkpoint import (
    ENGINE,
    checkpoint_folder,
    forget,
    forget_after,
    newest,
    read_checkpoint,
    write_checkpoint,
)
from trainer.config import ConfigError, GrpoConfig
from trainer.credit import token_rewards
from trainer.distributed import Ranks
from trainer.durable import publish, write_text
from trainer.grpo.advantage import sentence_advantages, token_advantages
from trainer.grpo.constraints import Candidate, Duals, choose
from trainer.grpo.curves import Curve, curve_of, diagnostics, mean_curve, records
from trainer.grpo.log import RunLog
from trainer.grpo.schedule import learning_rate, prompts_at, sampling_seed
from trainer.grpo.setup import Inputs, Policy, check_start, identity, make_policy, make_rewards, make_rollout
from trainer.grpo.step import optimise
from trainer.grpo.trackers import Trackers
from trainer.grpo.watch import Vitals, Watch
from trainer.policy import merged_state, prompt_ids, save_policy, trained_state
from trainer.prompts import Prompt
from trainer.rewards.base import Sample, read
from trainer.rewards.combine import Rewards, Scored
from trainer.rewards.conversion import Conversion
from trainer.rewards.diversity import Diversity
from trainer.rollout.base import Group, Rollout
from trainer.rollout.drift import check_drift, sampler_logprobs


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    policy: Path  # the chosen checkpoint's policy
    chosen: int  # its step
    steps: int  # taken
    stopped: str | None  # the limit that was broken, None when all steps were taken


def train_grpo(
    config: GrpoConfig,
    inputs: Inputs,
    prompts: Sequence[Prompt],
    out: Path,
    *,
    watch: Callable[[Curve], None] | None = None,
) -> Outcome:
    """Train a policy and leave the best checkpoint's in out/policy; a killed run goes on from its last checkpoint.

    ConfigError before anything is loaded or trained; RewardError, NotFiniteError and CheckpointError stop between two
    steps.
    """
    ranks = Ranks(config)
    trackers = Trackers(config, out, write=ranks.main)
    if ranks.main:
        check_start(config, inputs, prompts)
        identity(config, inputs, prompts).claim(out)
    rewards, held_out = make_rewards(config, inputs, prompts)
    policy = make_policy(config, inputs, ranks)
    run = Run(config, ranks, policy, make_rollout(config, inputs, policy, prompts), rewards, held_out, prompts, out)

    def seen(curve: Curve) -> None:
        trackers.log(curve)
        if watch:
            watch(curve)

    with trackers:
        return run.train(seen)


@dataclass
class Run:
    """One GRPO run and its state."""

    config: GrpoConfig
    ranks: Ranks
    policy: Policy
    rollout: Rollout
    rewards: Rewards
    held_out: Conversion | None
    prompts: Sequence[Prompt]
    out: Path
    candidates: list[Candidate] = field(default_factory=list)
    recent: list[Candidate] = field(default_factory=list)  # steps since the last checkpoint

    def __post_init__(self) -> None:
        self.rules = load_rules()
        self.log = RunLog(self.out)
        self.duals = Duals(self.config.dual)
        self.watch = Watch(self.config.limits)
        self.checkpoints = self.out / "checkpoints"

    @property
    def diversity(self) -> Diversity:
        term = self.rewards.terms["diversity"]
        assert isinstance(term, Diversity)
        return term

    @property
    def conversion(self) -> Conversion | None:
        term = self.rewards.terms.get("ctcvr")
        assert term is None or isinstance(term, Conversion)
        return term

    def train(self, watch: Callable[[Curve], None] | None = None) -> Outcome:
        """All steps that remain."""
        step = self._resume()
        if self.ranks.main:
            self.log.begin(step=step)
        stopped = None
        while step < self.config.steps and stopped is None:
            curve, vitals = self.step(step)
            step += 1
            if watch and self.ranks.main:
                watch(curve)
            stopped = self.watch.look(vitals)
            if stopped is None and (step % self.config.checkpoint_every == 0 or step == self.config.steps):
                self._checkpoint(step)
        if stopped:  # the steps that the broken window saw are not to be trusted
            self.candidates = [one for one in self.candidates if one.step <= step - self.config.limits.window]
            if not self.candidates:
                raise ConfigError(f"stopped at step {step}, before a checkpoint to go back to: {stopped}")
        return self._finish(step, stopped)

    # ---- one step

    def step(self, step: int) -> tuple[Curve, Vitals]:
        """One rollout and the optimiser steps on it."""
        began = perf_counter()
        config = self.config
        everyone = prompts_at(step, len(self.prompts), config)
        prompts = [self.prompts[number] for number in self.ranks.share(everyone)]
        ids = [prompt_ids(self.policy.tokenizer, prompt) for prompt in prompts]
        groups = self.rollout.sample(
            prompts, ids, config.group_size, seed=sampling_seed(step, self.ranks.number, config)
        )
        drifted = check_drift(self.policy.plain, groups[0], config.drift) if self.rollout.name != "hf" else None
        sampled = perf_counter()

        samples = [read(group.prompt, one.text, self.rules) for group in groups for one in group.completions]
        self._observe(step, everyone, groups)
        scored = self.rewards.score(samples, self.duals.multipliers() if config.constraints == "dual" else None)
        held_out = self.held_out.scores(samples) if self.held_out else None
        rewarded = perf_counter()

        charges = self._charges(groups, scored)
        sentence = sentence_advantages(
            torch.as_tensor(scored.sentence, dtype=torch.float32).reshape(-1, config.group_size)
        )
        advantages = token_advantages(sentence.flatten(), charges, config.alpha)
        credited = perf_counter()

        for parameters in self.policy.optimizer.param_groups:
            parameters["lr"] = learning_rate(step, config)
        report = optimise(
            self.policy.model, self.policy.optimizer, [group.ids for group in groups], advantages, config,
            reference=self.policy.reference, sampler=sampler_logprobs(groups) if config.sampler_cap else None,
            accelerator=self.ranks.accelerator,
        )  # fmt: skip
        optimised = perf_counter()
        self._sync()

        mine = curve_of(
            groups, samples, scored, advantages, self.rewards.spread_within(scored, config.group_size), held_out
        )
        curve = {
            "step": step,
            "learning_rate": learning_rate(step, config),
            **mean_curve(self.ranks.gather([mine])),
            **diagnostics(report),
        }
        if config.constraints == "dual":
            self.duals.update(curve["compliance"], curve["rewards"]["diversity"])
            curve |= {"multipliers": self.duals.multipliers()}
        curve["drift"] = drifted
        times = (
            sampled - began,
            rewarded - sampled,
            credited - rewarded,
            optimised - credited,
            perf_counter() - optimised,
        )
        curve["seconds"] = dict(
            zip(("rollout", "rewards", "credit", "optimise", "sync"), (round(one, 4) for one in times), strict=True)
        )
        if self.ranks.main:
            self.log.step(
                curve, records(step, self.policy.tokenizer, groups, samples, scored, charges, sentence.flatten())
            )
        self.recent.append(
            Candidate(
                step + 1,
                curve["rewards"].get("ctcvr", curve["reward"]),
                curve["compliance"],
                curve["rewards"]["diversity"],
            )
        )
        share = curve["distinct"] / config.group_size
        return curve, Vitals(curve["kl"], curve["length"], share, curve["gap"])

    def _observe(self, step: int, everyone: Sequence[int], groups: Sequence[Group]) -> None:
        """Let diversity count the whole step's texts, and in the first step take the conversion reward's scale from
        them.
        """
        written = self.ranks.gather([[one.text for one in group.completions] for group in groups])
        prompts = [self.prompts[number] for number in everyone]
        parsed = [
            [parse(text, prompt.brief.language) for text in texts]
            for prompt, texts in zip(prompts, written, strict=True)
        ]
        self.diversity.observe(
            [(prompt.brief, [text for text in texts if text]) for prompt, texts in zip(prompts, parsed, strict=True)]
        )
        if step == 0:
            started = [
                Sample(prompt, "", text, ()) for prompt, texts in zip(prompts, parsed, strict=True) for text in texts
            ]
            for model in (self.conversion, self.held_out):
                if model:
                    model.fit(started)

    def _charges(self, groups: Sequence[Group], scored: Scored) -> Tensor:
        """r_t of every sampled token, [N, T], 0 on padding     (RELATE eq. 5)."""
        texts = [(group.prompt.brief.language, one) for group in groups for one in group.completions]
        rows = [
            token_rewards(self.policy.tokenizer, text.ids, language, charges)
            for (language, text), charges in zip(texts, scored.charges, strict=True)
        ]
        charged = np.zeros((len(rows), max(map(len, rows))), dtype=np.float32)
        for row, place in zip(rows, charged, strict=True):
            place[: len(row)] = row
        return torch.from_numpy(charged)

    def _sync(self) -> None:
        """Give the sampler the new weights, where it keeps a copy."""
        if self.rollout.name != "hf":
            self.rollout.push(merged_state(self.policy.plain))

    # ---- checkpoints

    def _checkpoint(self, step: int) -> None:
        means = {name: fmean(getattr(one, name) for one in self.recent) for name in ("ctcvr", "quality", "diversity")}
        self.candidates.append(Candidate(step, **means))
        self.recent.clear()
        alone = self.ranks.accelerator is None  # an engine writes its own part of these two
        state = {
            "step": step,
            "weights": trained_state(self.policy.plain) if alone else {},
            "optimizer": self.policy.optimizer.state_dict() if alone else {},
            "random": torch.get_rng_state(),
            "diversity": self.diversity.state_dict(),
            "duals": self.duals.state_dict(),
            "watch": self.watch.state_dict(),
            "candidates": [asdict(one) for one in self.candidates],
            "scales": {name: model.scale for name, model in self._scaled().items()},
            "models": {name: model.model.version.version for name, model in self._scaled().items()},
        }
        policy, tokenizer = self.policy.plain, self.policy.tokenizer
        write_checkpoint(
            self.checkpoints, step, state, lambda folder: save_policy(policy, tokenizer, folder), self.ranks
        )
        if self.ranks.main:
            forget(self.checkpoints, {one.step for one in self._worth_keeping(step)})
        self.ranks.wait()

    def _worth_keeping(self, step: int) -> list[Candidate]:
        """The best so far, and the best of those old enough to go back to when a limit breaks."""
        old = [one for one in self.candidates if one.step <= step - self.config.limits.window]
        return [choose(some, self.config.dual) for some in (self.candidates, old) if some]

    def _scaled(self) -> dict[str, Conversion]:
        return {
            name: model
            for name, model in (("ctcvr", self.conversion), ("held_out_reward_model", self.held_out))
            if model
        }

    def _resume(self) -> int:
        """Take up the last checkpoint; the step to take next."""
        (folder, *_) = self.ranks.gather([newest(self.checkpoints) if self.ranks.main else None])
        if folder is None:
            return 0
        state = read_checkpoint(folder)
        if self.ranks.main:
            forget_after(self.checkpoints, folder)
        if (models := {name: model.model.version.version for name, model in self._scaled().items()}) != state["models"]:
            raise ConfigError(
                f"{folder} was trained with reward models {state['models']}, given are {models}: give the same ones"
            )
        if self.ranks.accelerator is not None:
            self.ranks.load_engine(folder / ENGINE)
        else:
            for name, weight in trained_state(self.policy.plain).items():
                weight.copy_(state["weights"][name])
            self.policy.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self.diversity.load_state_dict(state["diversity"])
        self.duals.load_state_dict(state["duals"])
        self.watch.load_state_dict(state["watch"])
        self.candidates = [Candidate(**one) for one in state["candidates"]]
        for name, model in self._scaled().items():
            model.scale = state["scales"][name]
        self._sync()
        return int(state["step"])

    def _finish(self, step: int, stopped: str | None) -> Outcome:
        chosen = choose(self.candidates, self.config.dual)
        policy = self.out / "policy"
        if self.ranks.main:
            partial = policy.with_name("policy.partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(checkpoint_folder(self.checkpoints, chosen.step) / "policy", partial)
            publish(partial, policy)
            ended = {"chosen": chosen.step, "steps": step, "stopped": stopped}
            write_text(self.out / "outcome.json", json.dumps(ended) + "\n")
        return Outcome(policy, chosen.step, step, stopped)
