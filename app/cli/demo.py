"""`relate demo`: a platform with some days of made-up traffic in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.errors import Refusal


def demo(
    briefs: Annotated[
        Path, typer.Argument(help="Briefs in the form of examples/briefs.jsonl; English ones are used.")
    ] = Path("examples/briefs.jsonl"),
    people: Annotated[int, typer.Option(help="People in both arms together.", min=200, max=1_000_000)] = 6000,
    days: Annotated[int, typer.Option(help="Days on which they search.", min=1, max=60)] = 9,
    advertisers: Annotated[int, typer.Option(help="Briefs to use, the first ones.", min=1, max=200)] = 12,
    seed: Annotated[int, typer.Option(help="The same seed plays the same people.", min=0)] = 0,
    data_dir: Annotated[
        Path, typer.Option(help="Directory of the demonstration; it must not hold experiments yet.")
    ] = Path(".relate-demo"),
    port: Annotated[int, typer.Option(help="Port of the API.", min=1, max=65535)] = 8080,
    learning: Annotated[
        bool,
        typer.Option(
            "--learn",
            help="Afterwards train a reward model and the policy on what people did, and let the gate decide: half an "
            "hour more. Needs the packages of the extra `train`.",
        ),
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Print the report and stop.")] = False,
) -> None:
    """Start a fresh platform, let made-up people use it for some days, and show the report: a few minutes.

    The packaged policy runs against templates in an A/B test. People ask for ads, click and order through the public
    API; the API's clock begins in the past and is moved ahead day by day, and ends in the present. Afterwards
    `relate up --data-dir .relate-demo` starts the same platform without the demonstration.
    """
    from app.cli.inputs import valid_requests
    from app.core.settings import Settings
    from app.demo.play import Plan
    from app.demo.run import run

    valid, _ = valid_requests(briefs, "google_rsa")
    chosen = [request["brief"] for request in valid if request["brief"]["locale"].startswith("en")][:advertisers]
    if not chosen:
        raise Refusal(f"{briefs} holds no valid English brief: the packaged policy writes English")
    run(
        Settings().replaced(data_dir=data_dir, port=port),
        chosen,
        Plan(people, days, seed),
        learning=learning,
        once=once,
    )
