"""Backups of one machine in one file: the database, the secrets that match units to their history, the keys and the
trained models.

A backup is a tar: `database.dump` (pg_dump's custom format), `secrets.json`, `keys.json`, `artifacts/`. The packaged
model is not included: it is prepared again after a restore.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import func, select

from app.core.settings import Settings
from app.store.database import Database
from app.store.jobs import note_run
from app.store.models.jobs import LastRun
from app.up.child import UpError
from app.up.database import reachable
from app.up.keys import file_of
from app.up.lock import holding
from app.up.postgres import embedded_postgres, run_program

DUMP = "database.dump"
_START_S = 120.0


def backup(settings: Settings, target: Path) -> None:
    """Write `target` atomically, readable only by its owner. The service may keep running: the dump is one snapshot."""
    with reachable(settings) as ready, tempfile.TemporaryDirectory(dir=target.resolve().parent) as scratch:
        dump, partial = Path(scratch, DUMP), Path(scratch, "backup.tar")
        os.close(_private(dump))
        database, environment = _connection(ready.database_url)
        options = ("--format=custom", "--no-owner", "--no-privileges", f"--file={dump}", f"--dbname={database}")
        run_program("pg_dump", *options, environment=environment)
        with os.fdopen(_private(partial), "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(dump, DUMP, filter=_owners_only)
            for name, path in _kept(settings):
                if path.exists():
                    tar.add(path, name, filter=_owners_only)
        partial.replace(target)
        asyncio.run(_note(ready))


async def _note(settings: Settings) -> None:
    """Note the backup for the metrics, where the schema has a place for it: a backup comes before a migration."""
    database = Database(settings)
    try:
        async with database.begin() as connection:
            if await connection.scalar(select(func.to_regclass(LastRun.__tablename__))):
                await note_run(connection, "backup")
    finally:
        await database.close()


def restore(settings: Settings, source: Path, *, force: bool = False) -> None:
    """Restore a backup into the data directory, and its database into DATABASE_URL or a new embedded database.

    Raises UpError where data exists, unless `force` is set: then the old directory is renamed to <name>.before-restore.
    """
    data_dir = settings.data_dir.resolve()
    if not tarfile.is_tarfile(source):
        raise UpError(f"{source} is not a backup: name a file that `relate backup` wrote")
    if settings.secrets_file is not None and settings.secrets_file.exists() and not force:
        raise UpError(
            f"{settings.secrets_file} exists: pass --force to replace it, or set RELATE_SECRETS_FILE to another file"
        )
    _make_room(data_dir, force=force)
    with holding(data_dir), tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(source) as tar:
            tar.extractall(scratch, filter="data")
        if not Path(scratch, DUMP).exists():
            raise UpError(f"{source} holds no {DUMP}: name a file that `relate backup` wrote")
        _fill(settings, Path(scratch, DUMP))
        for name, path in _kept(settings):
            if Path(scratch, name).exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(Path(scratch, name), path)


def _kept(settings: Settings) -> Iterator[tuple[str, Path]]:
    yield "secrets.json", settings.secrets_path
    yield "keys.json", file_of(settings.data_dir)
    yield "artifacts", settings.data_dir / "artifacts"


def _make_room(data_dir: Path, *, force: bool) -> None:
    if not data_dir.exists() or not any(data_dir.iterdir()):
        return
    if not force:
        raise UpError(
            f"{data_dir} is not empty: restore into another --data-dir, or pass --force to set this one aside"
        )
    aside = data_dir.with_name(data_dir.name + ".before-restore")
    if aside.exists():
        raise UpError(f"{aside} is there from an earlier restore: move it away first")
    with holding(data_dir):  # not while the service is running
        data_dir.rename(aside)


def _fill(settings: Settings, dump: Path) -> None:
    """Load the dump into the given database, replacing its content, or into a new embedded one."""
    if settings.database_url:
        _pg_restore(dump, settings.database_url)
        return
    child, url = embedded_postgres(settings.data_dir.resolve(), os.environ)
    child.start()
    try:
        child.wait_ready(_START_S)
        _pg_restore(dump, url)
    finally:
        child.stop()


def _pg_restore(dump: Path, url: str) -> None:
    options = ("--exit-on-error", "--single-transaction", "--clean", "--if-exists", "--no-owner", "--no-privileges")
    database, environment = _connection(url)
    run_program("pg_restore", *options, f"--dbname={database}", str(dump), environment=environment)


def _connection(url: str) -> tuple[str, dict[str, str]]:
    """Connection arguments for PostgreSQL's programs: the connection string without the password, and an environment
    that holds it. A password in the arguments would be visible in the process list.
    """
    parameters = conninfo_to_dict(url.replace("+psycopg", "", 1))
    password = parameters.pop("password", None)
    return make_conninfo("", **parameters), {} if password is None else {"PGPASSWORD": str(password)}


def _private(path: Path) -> int:
    """A new file that only its owner can read."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _owners_only(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A tar filter that keeps unpacked files as private as the backup."""
    member.mode &= 0o700
    return member
