"""Reinforcement learning of a policy on rewards and token-level credit."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.commands.start import starting_policy
from trainer.config import GrpoConfig, load_config
from trainer.prompts import load_prompts


def run(
    *,
    policy: str | None,
    base: str | None,
    reward_model: Path | None,
    held_out_reward_model: Path | None,
    config_file: Path | None,
    changes: Sequence[str],
    prompts_file: Path | None,
    out: Path,
    data_dir: Path,
    cache: Path | None,
    threads: int,
) -> None:
    """Train, and print the policy's folder. With several ranks, start this command once per rank."""
    config = load_config(GrpoConfig, config_file, changes)
    prompts = load_prompts(prompts_file, language=config.language, split="train")
    start = starting_policy(policy, data_dir)
    if "RANK" not in os.environ and (config.ranks > 1 or config.launcher == "ray"):
        start_ranks(config)
        return
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from trainer.distributed import use_own_gpu
    from trainer.grpo import Inputs, train_grpo
    from trainer.grpo.setup import memory_of

    use_own_gpu()
    torch.set_num_threads(threads)
    inputs = Inputs(
        policy=start, base=base, reward_model=reward_model, held_out_reward_model=held_out_reward_model, cache=cache
    )
    console = Console(stderr=True, quiet=os.environ.get("RANK", "0") != "0")
    console.print(memory_of(config, inputs, prompts))
    with Progress(console=console) as progress:
        bar = progress.add_task("loading", total=config.steps)

        def watch(curve: dict[str, Any]) -> None:
            progress.update(bar, completed=curve["step"] + 1, description=_line(curve))
            if not console.is_terminal:
                console.print(f"step {curve['step'] + 1}: {_line(curve)}")

        outcome = train_grpo(config, inputs, prompts, out, watch=watch)
    if outcome.stopped:
        console.print(f"stopped at step {outcome.steps}: {outcome.stopped}; went back to step {outcome.chosen}")
    if not console.quiet:
        print(outcome.policy)


def start_ranks(config: GrpoConfig) -> None:
    """Run this command once per rank. RankError when one fails."""
    arguments = sys.argv[1:]
    if config.launcher == "ray":
        from trainer.launch.ray import launch_on_ray

        launch_on_ray(arguments, config.ranks)
        return
    from trainer.launch.local import launch, trainer_command

    launch(trainer_command(arguments), config.ranks)


def _line(curve: dict[str, Any]) -> str:
    terms = " ".join(f"{name} {value:.2f}" for name, value in curve["rewards"].items())
    seconds = sum(curve["seconds"].values())
    return (
        f"compliance {curve['compliance']:.2f}  {terms}  KL {curve['kl']:.3f}  {curve['length']:.0f} tokens  "
        f"{seconds:.0f} s"
    )
