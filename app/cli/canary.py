"""`relate canary`: what a job of that kind runs."""

from __future__ import annotations

from typing import Annotated

import typer

NOT_NOW = 3  # the exit status where the policy may not start now: app.services.jobs.plans.REJECTED


def canary(
    policy: Annotated[
        str | None, typer.Option(help="Start the canary of this version, or of the weights at this path.")
    ] = None,
    layer: Annotated[str, typer.Option(help="The layer whose units it gets.")] = "default",
    rules: Annotated[str, typer.Option(help="Its rules, as JSON: docs/operations.md.")] = "{}",
) -> None:
    """Look at the open canaries once: widen, pause, roll back, promote. The worker runs it on a schedule."""
    import asyncio
    import os

    from app.core.problems import Problem
    from app.core.settings import Settings
    from app.jobs.children import MARK
    from app.services.canary.ramp import NOT_NOW as REFUSALS
    from app.services.canary.rules import CanaryRules
    from app.services.canary.run import run
    from app.up.database import reachable

    with reachable(Settings()) as settings:
        try:
            chosen = CanaryRules.model_validate_json(rules)
            looked = asyncio.run(run(settings, policy, chosen, layer, job_id=os.environ.get(MARK)))
        except Problem as problem:
            if problem.rule not in REFUSALS:
                raise
            print(problem.detail)
            raise typer.Exit(NOT_NOW) from problem
    for line in looked or ["no canary is open"]:
        print(line)
