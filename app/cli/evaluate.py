"""`relate evaluate`: how good a trained model is, on what it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.train import Snapshot, Threads, cache, run_trainer

evaluate = typer.Typer(no_args_is_help=True, help="Judge trained models on what they have not seen. Needs the [train] extra.")


@evaluate.callback()
def group() -> None:
    """Judge trained models on what they have not seen. Needs the [train] extra."""


@evaluate.command()
def reward(
    model: Annotated[Path, typer.Option(help="A version's folder.", exists=True, file_okay=False)],
    snapshot: Snapshot,
    report: Annotated[Path, typer.Option(help="The page to write.")] = Path("reward.html"),
    threads: Threads = 1,
) -> None:
    """Measure a reward model on advertisers that its training and tuning never saw; write a page with table and calibration plot."""
    run_trainer(
        "evaluate-reward", f"--model={model}", f"--snapshot={snapshot}", f"--report={report}", f"--cache={cache()}", f"--threads={threads}"
    )
