"""Training and measuring a reward model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.config import RewardConfig, load_config


def train(
    *, snapshot: Path, config_file: Path | None, changes: Sequence[str], out: Path, cache: Path | None, threads: int
) -> None:
    """Train, and print the metrics and the version's folder."""
    config = load_config(RewardConfig, config_file, changes)
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from trainer.reward_model.report import summary
    from trainer.reward_model.run import train_reward_model

    torch.set_num_threads(threads)
    console = Console()
    with Progress(console=console) as progress:
        bar = progress.add_task("embedding", total=config.members * config.epochs)

        def watch(member: int, epoch: int, loss: float, validation: float) -> None:
            line = (
                f"member {member + 1} of {config.members}, epoch {epoch}: loss {loss:.5f}, validation {validation:.5f}"
            )
            progress.update(bar, completed=member * config.epochs + epoch, description=line)

        model = train_reward_model(snapshot, config, out, watch=watch, cache=cache)
        progress.update(bar, completed=config.members * config.epochs)
    console.print(summary(model.version.metrics))
    print(out / model.version.version)


def evaluate(*, model: Path, snapshot: Path, report: Path, cache: Path | None, threads: int) -> None:
    """Measure on advertisers that the model never saw, and print the page's path."""
    import torch
    from rich.console import Console

    from trainer.reward_model import run
    from trainer.reward_model.report import summary, write_report
    from trainer.reward_model.score import RewardModel

    torch.set_num_threads(threads)
    trained = RewardModel.load(model, cache=cache)
    cells = run.unseen_cells(trained, snapshot)
    metrics = run.evaluate(trained, cells)
    Console().print(summary(metrics))
    print(write_report(trained, cells, metrics, report))
