"""The trainer's commands: `relate train …`, `relate evaluate …`, `relate ablate`.

The tree names its functions as strings, so that reading it, for `--help` or to mount it, loads nothing heavy. `relate`
mounts it and runs each command in a process of its own: `python -m trainer …` with the same arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

import typer

from trainer.cli import evaluate, train

root = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
    help="Train and evaluate models.",
)  # fmt: skip
root.add_typer(train.commands, name="train")
root.add_typer(evaluate.commands, name="evaluate")
root.command()(evaluate.ablate)


def run(arguments: Sequence[str]) -> int:
    """One command, as if typed after `relate`: its exit status. Its errors are raised, not printed."""
    return int(root(args=list(arguments), prog_name="relate", standalone_mode=False) or 0)
