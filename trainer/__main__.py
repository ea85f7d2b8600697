"""`python -m trainer …`: what `relate train` and `relate evaluate` start, so that the service never loads torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from trainer.commands import ablate, dpo, evaluate, grpo, sft
from trainer.config import ConfigError, RewardConfig, load_config
from trainer.snapshot import SnapshotError


def train_reward(arguments: argparse.Namespace) -> None:
    config = load_config(RewardConfig, arguments.config, arguments.set)
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from trainer.reward_model.report import summary
    from trainer.reward_model.run import train_reward_model

    torch.set_num_threads(arguments.threads)
    console = Console()
    with Progress(console=console) as progress:
        bar = progress.add_task("embedding", total=config.members * config.epochs)

        def watch(member: int, epoch: int, loss: float, held_out: float) -> None:
            said = f"member {member + 1} of {config.members}, epoch {epoch}: loss {loss:.5f}, held out {held_out:.5f}"
            progress.update(bar, completed=member * config.epochs + epoch, description=said)

        model = train_reward_model(arguments.snapshot, config, arguments.out, watch=watch, cache=arguments.cache)
        progress.update(bar, completed=config.members * config.epochs)
    console.print(summary(model.version.metrics))
    print(arguments.out / model.version.version)


def evaluate_reward(arguments: argparse.Namespace) -> None:
    import torch
    from rich.console import Console

    from trainer.reward_model.report import summary, write_report
    from trainer.reward_model.run import evaluate, unseen_cells
    from trainer.reward_model.score import RewardModel

    torch.set_num_threads(arguments.threads)
    model = RewardModel.load(arguments.model, cache=arguments.cache)
    cells = unseen_cells(model, arguments.snapshot)
    metrics = evaluate(model, cells)
    Console().print(summary(metrics))
    print(write_report(model, cells, metrics, arguments.report))


def parser() -> argparse.ArgumentParser:
    """Every command of the trainer; what it parses has a `run`."""
    whole = argparse.ArgumentParser(prog="python -m trainer")
    commands = whole.add_subparsers(required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--snapshot", type=Path, required=True)
    shared.add_argument("--cache", type=Path)
    shared.add_argument("--threads", type=int, default=1)

    train = commands.add_parser("train-reward", parents=[shared])
    train.add_argument("--config", type=Path)
    train.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    train.add_argument("--out", type=Path, required=True)
    train.set_defaults(run=train_reward)

    measured = commands.add_parser("evaluate-reward", parents=[shared])
    measured.add_argument("--model", type=Path, required=True)
    measured.add_argument("--report", type=Path, required=True)
    measured.set_defaults(run=evaluate_reward)

    grpo.register(commands)
    sft.register(commands)
    dpo.register(commands)
    evaluate.register(commands)
    ablate.register(commands)
    return whole


def main() -> None:
    arguments = parser().parse_args()
    try:
        arguments.run(arguments)
    except (
        ConfigError,
        SnapshotError,
        ValueError,
        ArithmeticError,
        OSError,
    ) as error:  # a full disk, a loss that is no number
        sys.exit(f"relate: {error}")


if __name__ == "__main__":
    main()
