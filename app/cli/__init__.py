"""The `relate` command. Each command group is a file. A command imports what it needs when it runs, so that `--help` is
fast.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from app.cli import assets, backup, canary, check, database, demo, export, generate, serve, up, webhooks, worker
from app.cli.errors import sentence
from app.cli.experiments import experiments
from app.cli.gsb import gsb
from app.cli.jobs import jobs
from app.cli.keys import keys
from app.cli.policies import policies
from app.cli.review import review
from app.cli.rules import advertisers, rules
from app.cli.texts import texts
from app.cli.trainer import ChildCommand, ChildGroup
from trainer.cli import evaluate, train

cli = typer.Typer(
    name="relate",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (
    up.up,
    demo.demo,
    serve.serve,
    serve.secrets,
    worker.worker,
    generate.generate,
    generate.prefill,
    assets.assets,
    check.check,
    database.migrate,
    database.upgrade,
    database.retention,
    canary.canary,
    webhooks.webhooks,
    backup.backup,
    backup.restore,
    export.export,
):
    cli.command()(command)
cli.add_typer(experiments, name="experiments")
cli.add_typer(policies, name="policies")
cli.add_typer(rules, name="rules")
cli.add_typer(advertisers, name="advertisers")
cli.add_typer(texts, name="texts")
cli.add_typer(jobs, name="jobs")
cli.add_typer(review, name="review")
cli.add_typer(gsb, name="gsb")
cli.add_typer(keys, name="keys")
cli.add_typer(train.commands, name="train", cls=ChildGroup)
cli.add_typer(evaluate.commands, name="evaluate", cls=ChildGroup)
cli.command(cls=ChildCommand)(evaluate.ablate)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"relate {version('relate-ads')}")
        raise typer.Exit


@cli.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """RELATE writes ad copy with a language model, serves it in A/B tests, and trains on the conversions."""


def main() -> None:
    """Run a command. An error that the user can fix is printed as one line on stderr, with exit status 1."""
    try:
        cli()
    except Exception as error:
        said = sentence(error)
        if said is None:
            raise
        print(f"relate: {said}", file=sys.stderr)
        sys.exit(1)
