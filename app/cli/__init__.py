"""The `relate` command. Each group is a file; what a command needs is imported when it runs, so that `--help` is
quick.
"""

from __future__ import annotations

import sys

import typer

from app.cli import backup, check, database, export, generate, serve, up
from app.cli.errors import sentence
from app.cli.evaluate import ablate, evaluate
from app.cli.experiments import experiments
from app.cli.keys import keys
from app.cli.train import train

cli = typer.Typer(
    name="relate",
    help="RELATE writes ad copy with a language model, serves it under A/B test, and learns from what people do with "
    "it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (
    up.up,
    serve.serve,
    serve.secrets,
    generate.generate,
    generate.prefill,
    check.check,
    database.migrate,
    database.upgrade,
    database.retention,
    backup.backup,
    backup.restore,
    export.export,
    ablate,
):
    cli.command()(command)
cli.add_typer(experiments, name="experiments")
cli.add_typer(keys, name="keys")
cli.add_typer(train, name="train")
cli.add_typer(evaluate, name="evaluate")


def main() -> None:
    """Run a command; an error the caller can act on is one line on stderr and status 1."""
    try:
        cli()
    except Exception as error:
        said = sentence(error)
        if said is None:
            raise
        print(f"relate: {said}", file=sys.stderr)
        sys.exit(1)
