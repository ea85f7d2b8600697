"""`relate serve` and `relate secrets`: the API alone, with external PostgreSQL and vLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.errors import Refusal

if TYPE_CHECKING:
    from app.core.settings import Settings

OTHER_FILES = 512  # connections to the database and the policies, log files


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default RELATE_HOST, else 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; default RELATE_PORT, else 8080.", min=1, max=65535)
    ] = None,
) -> None:
    """Run the API with DATABASE_URL and RELATE_POLICY_URL. Run `relate migrate` first. Logs are JSON lines on stderr.

    Behind a load balancer run one process per core, each with the same secrets file.
    """
    import uvicorn

    from app.core.logs import configure
    from app.core.settings import Settings
    from app.http.connections import protocol

    settings = Settings()
    if not settings.database_url:
        raise Refusal("DATABASE_URL is not set: set it to a PostgreSQL database, or use `relate up`")
    _refuse_without_parts(settings)
    configure(settings.log_level)
    _collect_seldom()
    _allow_files(settings.max_connections + OTHER_FILES)
    uvicorn.run(
        "app.main:create_app",
        factory=True,
        host=host or settings.host,
        port=settings.port if port is None else port,
        loop="uvloop",
        http=protocol(settings),
        ws="none",
        access_log=False,  # app.core.logs writes its own, without queries in it
        log_config=None,
        backlog=settings.listen_backlog,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=10,
    )


def _refuse_without_parts(settings: Settings) -> None:
    """Check the secrets, the database and its tables; raises an error with one line."""
    import psycopg

    from app.core.secrets import Secrets

    Secrets.load(settings.secrets_path)
    with psycopg.connect(settings.psycopg_url, connect_timeout=5) as connection:
        if connection.execute("SELECT to_regclass('revisions')").fetchone() == (None,):
            raise Refusal("the database has no tables of RELATE: run `relate migrate` first")


def _allow_files(wanted: int) -> None:
    """Raise the limit on open files of this process to what its connections need, as far as the system allows."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < wanted:
        raised = wanted if hard < 0 else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, raised), hard))


def _collect_seldom() -> None:
    """Avoid long garbage collections: a full collection with a large pool stops the process for longer than a deadline.

    Objects of a request are freed with their last reference. Failed calls leave cycles, which are collected young,
    within a few milliseconds.
    """
    import gc

    gc.freeze()
    gc.set_threshold(3_000, 5, 1_000)


def secrets() -> None:
    """Create the secrets of the deployment in RELATE_SECRETS_FILE, or secrets.json in the data directory. Existing
    secrets are never changed.

    Every replica needs this file. Back it up: without it no unit can be matched to its history. `relate up` creates it
    automatically.
    """
    from app.core.secrets import Secrets
    from app.core.settings import Settings

    path = Settings().secrets_path
    if path.exists():
        Secrets.load(path)
        print(f"{path} exists and is valid")
    else:
        Secrets.generate().save(path)
        print(f"{path} was created: give it to every replica, and back it up")
