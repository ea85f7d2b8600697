"""`python -m trainer grpo`: reinforcement learning of a policy on rewards and token-level credit."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from trainer.config import GrpoConfig, load_config
from trainer.prompts import load_prompts


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("grpo")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--policy", required=True)
    parser.add_argument("--base")
    parser.add_argument("--reward-model", type=Path)
    parser.add_argument("--held-out-reward-model", type=Path)
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    config = load_config(GrpoConfig, arguments.config, arguments.set)
    prompts = load_prompts(arguments.prompts, language=config.language, split="train")
    if "RANK" not in os.environ and (config.ranks > 1 or config.launcher == "ray"):
        start_ranks(config)
        return
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from trainer.grpo.setup import Inputs, memory_of
    from trainer.grpo.train import train_grpo

    torch.set_num_threads(arguments.threads)
    inputs = Inputs(
        policy=arguments.policy,
        base=arguments.base,
        reward_model=arguments.reward_model,
        held_out_reward_model=arguments.held_out_reward_model,
        cache=arguments.cache,
    )
    console = Console(stderr=True, quiet=os.environ.get("RANK", "0") != "0")
    console.print(memory_of(config, inputs, prompts))
    with Progress(console=console) as progress:
        bar = progress.add_task("loading", total=config.steps)

        def watch(curve: dict[str, Any]) -> None:
            progress.update(bar, completed=curve["step"] + 1, description=_said(curve))
            if not console.is_terminal:
                console.print(f"step {curve['step'] + 1}: {_said(curve)}")

        outcome = train_grpo(config, inputs, prompts, arguments.out, watch=watch)
    if outcome.stopped:
        console.print(f"stopped at step {outcome.steps}: {outcome.stopped}; went back to step {outcome.chosen}")
    if not console.quiet:
        print(outcome.policy)


def start_ranks(config: GrpoConfig) -> None:
    """This very command once a rank, and its end with theirs."""
    arguments = sys.argv[1:]
    if config.launcher == "ray":
        from trainer.launch.ray import launch_on_ray

        launch_on_ray(arguments, config.ranks)
        return
    from trainer.launch.local import launch, trainer_command

    launch(trainer_command(arguments), config.ranks)


def _said(curve: dict[str, Any]) -> str:
    terms = " ".join(f"{name} {value:.2f}" for name, value in curve["rewards"].items())
    took = sum(curve["seconds"].values())
    return f"compliance {curve['compliance']:.2f}  {terms}  KL {curve['kl']:.3f}  {curve['length']:.0f} tokens  {took:.0f} s"
