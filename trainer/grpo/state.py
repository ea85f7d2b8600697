"""The state that a resumed run needs, and the checkpoints that hold it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

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
from trainer.distributed import Ranks
from trainer.durable import publish, write_text
from trainer.grpo.constraints import Candidate, Duals, choose, mean_of
from trainer.grpo.setup import Policy
from trainer.grpo.watch import Watch
from trainer.policy import save_policy, trained_state
from trainer.rewards import Rewards


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    policy: Path  # the chosen checkpoint's policy
    chosen: int  # its step
    steps: int  # taken
    stopped: str | None  # the limit that was broken, None when all steps were taken


class RunState:
    """The weights and everything else that changes from step to step."""

    def __init__(self, config: GrpoConfig, ranks: Ranks, policy: Policy, rewards: Rewards, out: Path) -> None:
        self.config, self.ranks, self.policy, self.rewards, self.out = config, ranks, policy, rewards, out
        self.checkpoints = out / "checkpoints"
        self.duals = Duals(config.dual)
        self.watch = Watch(config.limits)
        self.candidates: list[Candidate] = []
        self.recent: list[Candidate] = []  # steps since the last checkpoint

    def multipliers(self) -> dict[str, float] | None:
        """The multiplier of each term's penalty; None where the config has no constraints."""
        return self.duals.multipliers() if self.config.constraints == "dual" else None

    def observe(self, step: Candidate) -> dict[str, float] | None:
        """Update the multipliers from one step's means; returns the new ones."""
        self.recent.append(step)
        if self.config.constraints == "dual":
            assert step.diversity is not None  # the config refuses dual constraints without the term
            self.duals.update(step.quality, step.diversity)
        return self.multipliers()

    def checkpoint(self, step: int) -> None:
        """Write the checkpoint after `step` steps and remove those that are no longer needed."""
        self.candidates.append(mean_of(step, self.recent))
        self.recent.clear()
        policy, tokenizer = self.policy.plain, self.policy.tokenizer
        write_checkpoint(
            self.checkpoints,
            step,
            self._state_dict(step),
            lambda folder: save_policy(policy, tokenizer, folder),
            self.ranks,
        )
        if self.ranks.main:
            forget(self.checkpoints, {candidate.step for candidate in self._worth_keeping(step)})
        self.ranks.wait()

    def resume(self) -> int:
        """Load the newest whole checkpoint. Returns the step to take next, 0 without a checkpoint."""
        (folder, *_) = self.ranks.gather([newest(self.checkpoints) if self.ranks.main else None])
        if folder is None:
            return 0
        state = read_checkpoint(folder)
        if self.ranks.main:
            forget_after(self.checkpoints, folder)
        self.rewards.load_state_dict(state["rewards"])
        if self.ranks.accelerator is not None:
            self.ranks.load_engine(folder / ENGINE)
        else:
            for name, weight in trained_state(self.policy.plain).items():
                weight.copy_(state["weights"][name])
            self.policy.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self.duals.load_state_dict(state["duals"])
        self.watch.load_state_dict(state["watch"])
        self.candidates = [Candidate(**candidate) for candidate in state["candidates"]]
        return int(state["step"])

    def distrust_window(self, step: int, stopped: str) -> None:
        """Exclude the checkpoints within the window that broke the limit. ConfigError where none is left."""
        self.candidates = self._before_window(step)
        if not self.candidates:
            raise ConfigError(f"stopped at step {step}, before a checkpoint to go back to: {stopped}")

    def finish(self, step: int, stopped: str | None) -> Outcome:
        """Copy the best checkpoint's policy to out/policy and write out/outcome.json."""
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

    def _state_dict(self, step: int) -> dict[str, Any]:
        alone = self.ranks.accelerator is None  # an engine writes weights and optimiser itself, one part per rank
        return {
            "step": step,
            "weights": trained_state(self.policy.plain) if alone else {},
            "optimizer": self.policy.optimizer.state_dict() if alone else {},
            "random": torch.get_rng_state(),
            "rewards": self.rewards.state_dict(),
            "duals": self.duals.state_dict(),
            "watch": self.watch.state_dict(),
            "candidates": [asdict(candidate) for candidate in self.candidates],
        }

    def _worth_keeping(self, step: int) -> list[Candidate]:
        """The steps of the best checkpoint so far, and of the best one before the current window."""
        return [choose(some, self.config.dual) for some in (self.candidates, self._before_window(step)) if some]

    def _before_window(self, step: int) -> list[Candidate]:
        first = step - self.config.limits.window
        return [candidate for candidate in self.candidates if candidate.step <= first]
