"""`relate up`: runs the whole service on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def up(
    port: Annotated[
        int | None, typer.Option(help="Port of the API; default RELATE_PORT, else 8080.", min=1, max=65535)
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address of the API; default RELATE_HOST, else 127.0.0.1.")] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Directory of the database, model, keys and logs; default RELATE_DATA_DIR, else .relate."),
    ] = None,
    model: Annotated[
        bool,
        typer.Option(
            "--model/--no-model", help="Start vLLM with the packaged model. Without it, template texts are served."
        ),
    ] = True,
    once: Annotated[bool, typer.Option("--once", help="Serve one ad, print it, and stop.")] = False,
) -> None:
    """Start PostgreSQL, vLLM, the API and a worker, serve one ad as a test, and supervise them until Ctrl-C.

    To use external services, set DATABASE_URL (replaces the embedded PostgreSQL) or RELATE_POLICY_URL (replaces vLLM).
    The first start converts the packaged model and creates one key per role; later starts find everything in the data
    directory.
    """
    from app.core.settings import Settings
    from app.up.run import run

    given = {"port": port, "host": host, "data_dir": data_dir}
    run(
        Settings().replaced(**{name: value for name, value in given.items() if value is not None}),
        model=model,
        once=once,
    )
