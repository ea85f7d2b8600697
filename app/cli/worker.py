"""`relate worker`: the process that runs jobs."""

from __future__ import annotations

from typing import Annotated

import typer


def worker(
    check: Annotated[
        bool, typer.Option("--check", help="Only check that this host's worker works: status 0, or 1. For containers.")
    ] = False,
) -> None:
    """Run a worker, which executes jobs and schedules: training, exports, retention, backups. `relate up` starts one
    automatically.

    Needs DATABASE_URL, and the [train] extra for training. Several workers share one queue; those of one host train on
    different RELATE_TRAINING_DEVICES.
    """
    import asyncio

    from app.cli.errors import Refusal
    from app.core.logs import configure
    from app.core.settings import Settings
    from app.jobs.alive import works

    settings = Settings()
    if check:
        if not works(settings):
            raise Refusal("no worker works on this host: start one with `relate worker`")
        return
    from app.jobs.worker import work

    if not settings.database_url:
        raise Refusal("DATABASE_URL is not set: set it to a PostgreSQL database, or use `relate up`")
    configure(settings.log_level)
    asyncio.run(work(settings))
