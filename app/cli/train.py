"""`relate train`: the trainer in a process of its own, so that nothing heavy is loaded here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

train = typer.Typer(no_args_is_help=True, help="Train models on what was logged. Needs the [train] extra.")

Snapshot = Annotated[Path, typer.Option(help="A folder that `relate export` wrote.", exists=True, file_okay=False)]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1)]


@train.callback()
def group() -> None:
    """Train models on what was logged. Needs the [train] extra."""


@train.command()
def reward(
    snapshot: Snapshot,
    config: Annotated[Path | None, typer.Option(help="YAML, such as trainer/configs/reward_cpu.yaml; default: the defaults.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE, over the file. May be repeated.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where versions are kept; default RELATE_DATA_DIR/artifacts/reward-models.")] = None,
    threads: Threads = 1,
) -> None:
    """Train the reward model: predicted CTCVR with its uncertainty. Run again after an interruption, it goes on where it stopped.

    Example: relate train reward --snapshot logs/monday --config trainer/configs/reward_cpu.yaml --set epochs=10
    """
    options = [f"--config={config}"] if config else []
    options += [f"--set={one}" for one in change or []]
    run_trainer(
        "train-reward", f"--snapshot={snapshot}", f"--out={out or versions()}", f"--cache={cache()}", f"--threads={threads}", *options
    )


def versions() -> Path:
    """Where trained reward models are kept."""
    from app.settings import Settings

    return Settings().data_dir / "artifacts" / "reward-models"


def cache() -> Path:
    """Where embeddings are kept."""
    from app.settings import Settings

    return Settings().data_dir / "cache" / "embeddings"


def run_trainer(*arguments: str) -> None:
    """`python -m trainer …` with this terminal; its exit status becomes ours. Ctrl-C reaches it as well."""
    child = subprocess.Popen([sys.executable, "-m", "trainer", *arguments])
    try:
        status = child.wait()
    except KeyboardInterrupt:
        status = child.wait()
    raise typer.Exit(status)
