"""`relate train`, `relate evaluate` and `relate ablate`: the commands of the trainer, each in its own process.

The command line is parsed here, so that help and invalid options are answered at once. Then `python -m trainer` runs
with the same arguments, because training loads packages that the service must not load.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_ARGUMENTS = "app.cli.trainer.arguments"


class ChildCommand(TyperCommand):
    """A command that runs in a child process."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = [str(ctx.info_name), *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> None:
        run_trainer(ctx.meta[_ARGUMENTS])


class ChildGroup(TyperGroup):
    """A group whose commands run in a child process."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = [str(ctx.info_name), *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> None:
        arguments = ctx.meta[_ARGUMENTS]
        name, command, rest = self.resolve_command(ctx, arguments[1:])
        assert name is not None
        assert command is not None  # an unknown command has been reported
        with command.make_context(name, rest, parent=ctx):
            run_trainer(arguments)


def run_trainer(arguments: list[str]) -> None:
    """Run `python -m trainer …` in this terminal and return its exit status. Ctrl-C also reaches it."""
    child = subprocess.Popen([sys.executable, "-m", "trainer", *arguments])
    try:
        status = child.wait()
    except KeyboardInterrupt:
        status = child.wait()
    raise typer.Exit(status)
