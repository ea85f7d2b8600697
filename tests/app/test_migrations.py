"""Every migration can be taken back one step, and what was stored before it is still there."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory

from app.core.problems import Problem
from app.core.settings import Settings
from app.store.migrate import migrate, take_back

with as_file(files("migrations")) as scripts:
    REVISIONS = [script.revision for script in ScriptDirectory(str(scripts)).walk_revisions()][::-1]


@pytest.fixture
def database(settings: Settings, keys: object) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(settings.database_url, autocommit=True)


def rows(database: psycopg.Connection[Any]) -> dict[str, int]:
    """How many rows each table holds."""
    tables = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
    return {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for (name,) in tables}


def test_each_step_is_taken_back_with_the_data_kept_and_taken_again(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    full = rows(database)
    assert (full["api_keys"], full["policies"]) == (6, 2)
    for earlier in REVISIONS[-2::-1]:
        assert take_back(settings) == earlier
        left = rows(database)
        assert {name: left[name] for name in full if name in left} == {
            name: full[name] for name in full if name in left
        }
    with pytest.raises(Problem, match="cannot be taken back"):
        take_back(settings)
    migrate(settings)
    assert rows(database) == full


def test_a_key_of_one_advertiser_never_opens_everything_in_the_release_before(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    database.execute("UPDATE api_keys SET advertiser = '山间咖啡' WHERE name = 'generate'")
    while take_back(settings) != "0001":
        continue
    assert database.execute("SELECT name FROM api_keys WHERE revoked_at IS NOT NULL").fetchall() == [("generate",)]
