"""`python -m trainer grpo`: reinforcement learning of a policy on rewards and token-level credit."""

from __future__ import annotations

import argparse
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
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    config = load_config(GrpoConfig, arguments.config, arguments.set)
    prompts = load_prompts(arguments.prompts, language=config.language, split="train")
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from trainer.grpo.setup import Inputs
    from trainer.grpo.train import train_grpo

    torch.set_num_threads(arguments.threads)
    inputs = Inputs(
        policy=arguments.policy, base=arguments.base, reward_model=arguments.reward_model, judge=arguments.judge, cache=arguments.cache
    )
    console = Console(stderr=True)
    with Progress(console=console) as progress:
        bar = progress.add_task("loading", total=config.steps)

        def watch(curve: dict[str, Any]) -> None:
            progress.update(bar, completed=curve["step"] + 1, description=_said(curve))
            if not console.is_terminal:
                console.print(f"step {curve['step'] + 1}: {_said(curve)}")

        outcome = train_grpo(config, inputs, prompts, arguments.out, watch=watch)
    if outcome.stopped:
        console.print(f"stopped at step {outcome.steps}: {outcome.stopped}; went back to step {outcome.chosen}")
    print(outcome.policy)


def _said(curve: dict[str, Any]) -> str:
    terms = " ".join(f"{name} {value:.2f}" for name, value in curve["rewards"].items())
    took = sum(curve["seconds"].values())
    return f"compliance {curve['compliance']:.2f}  {terms}  KL {curve['kl']:.3f}  {curve['length']:.0f} tokens  {took:.0f} s"
