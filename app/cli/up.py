"""`relate up`: the whole platform on this machine."""

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
        Path | None, typer.Option(help="Database, model, keys and logs; default RELATE_DATA_DIR, else .relate.")
    ] = None,
    model: Annotated[
        bool, typer.Option("--model/--no-model", help="Start vLLM with the packaged model; without it templates serve.")
    ] = True,
    once: Annotated[bool, typer.Option("--once", help="Serve one ad, print it, stop.")] = False,
) -> None:
    """Start PostgreSQL, vLLM, the API and a worker, serve one ad to show that it works, and look after them until
    Ctrl-C.

    What the environment names is not started: DATABASE_URL takes the place of the embedded PostgreSQL,
    RELATE_POLICY_URL that of vLLM. The first start converts the packaged model and makes one key per role; later ones
    find everything in the data directory.
    """
    from app.core.settings import Settings
    from app.up.run import run

    given = {"port": port, "host": host, "data_dir": data_dir}
    run(
        Settings().replaced(**{name: value for name, value in given.items() if value is not None}),
        model=model,
        once=once,
    )
