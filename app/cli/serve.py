"""`relate serve` and `relate secrets`: the API alone, where PostgreSQL and vLLM run elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.errors import Refusal

if TYPE_CHECKING:
    from app.core.settings import Settings

OTHER_FILES = 512  # the database's and the policies' connections, logs


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default RELATE_HOST, else 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; default RELATE_PORT, else 8080.", min=1, max=65535)
    ] = None,
) -> None:
    """Run the API over DATABASE_URL and RELATE_POLICY_URL; `relate migrate` comes first. Logs are JSON lines on stderr.

    Behind a load balancer run one process per core, each with the same secrets file.
    """
    import uvicorn

    from app.core.logs import configure
    from app.core.settings import Settings
    from app.http.connections import protocol

    settings = Settings()
    if not settings.database_url:
        raise Refusal("DATABASE_URL is not set: name a PostgreSQL, or let `relate up` start one")
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
    """Say in one line what is missing: the secrets, the database, or its tables."""
    import psycopg

    from app.core.secrets import Secrets

    Secrets.load(settings.secrets_path)
    with psycopg.connect(settings.psycopg_url, connect_timeout=5) as connection:
        if connection.execute("SELECT to_regclass('revisions')").fetchone() == (None,):
            raise Refusal("the database has no tables of RELATE: run `relate migrate` first")


def _allow_files(wanted: int) -> None:
    """Raise this process's limit on open files to what its connections need, as far as the system permits."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < wanted:
        raised = wanted if hard < 0 else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, raised), hard))


def _collect_seldom() -> None:
    """Keep long garbage collections off the answers: one over a full pool stops the process for longer than a deadline.

    What a request makes dies with its last reference. Failed calls leave cycles: those go young, a few milliseconds'
    worth at a time.
    """
    import gc

    gc.freeze()
    gc.set_threshold(3_000, 5, 1_000)


def secrets() -> None:
    """Make the deployment's secrets, once: RELATE_SECRETS_FILE, else secrets.json in the data directory. Existing ones
    are never touched.

    Every replica needs this file, and so does the backup: without it no unit is linked to its history. `relate up`
    makes it by itself.
    """
    from app.core.secrets import Secrets
    from app.core.settings import Settings

    path = Settings().secrets_path
    if path.exists():
        Secrets.load(path)
        print(f"{path} exists and is whole")
    else:
        Secrets.generate().save(path)
        print(f"{path} is written: give it to every replica, and keep it in the backup")
