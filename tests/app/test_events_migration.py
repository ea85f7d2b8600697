"""The step to events identified by serving, kind and id, there and back: no event is lost."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files
from typing import Any
from uuid import UUID

import psycopg
import pytest
from alembic import command
from counting import digest

from app.core.settings import Settings
from app.store.migrate import alembic_config, migrate

SERVINGS = [UUID(bytes=digest(name)) for name in ("one", "two")]


@pytest.fixture
def before(postgres: str, tmp_path: Any) -> Iterator[Settings]:
    """An empty database as the release before left it."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE events_migration")
    settings = Settings(
        database_url=postgres.replace("/postgres?", "/events_migration?"), data_dir=tmp_path, policy_url="http://x"
    )
    migrate(settings, "0004")
    yield settings
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE events_migration WITH (FORCE)")


def downgrade(settings: Settings, revision: str) -> None:
    with as_file(files("migrations")) as scripts:
        command.downgrade(alembic_config(settings, scripts), revision)


def an_event(connection: psycopg.Connection[Any], event_id: str, kind: int, serving: UUID) -> None:
    """One event, with the columns that both schemas have."""
    connection.execute(
        """INSERT INTO events (event_id, kind, serve_id, unit, phase_id, arm, text_id, policy_id, source, served_at,
                               occurred_at)
           VALUES (%s, %s, %s, 'u', 1, 0, %s, 1, 1, now(), now())""",
        (event_id, kind, serving, serving),
    )


def an_old_exposure(connection: psycopg.Connection[Any], serving: UUID) -> None:
    connection.execute(
        """INSERT INTO exposures (serve_id, unit, phase_id, arm, text_id, policy_id, source, impression_at, clicked,
                                  converted, invalid)
           VALUES (%s, 'u', 1, 0, %s, 1, 1, now(), false, false, false)""",
        (serving, serving),
    )


def identities(connection: psycopg.Connection[Any]) -> set[tuple[UUID, int, str]]:
    return set(connection.execute("SELECT serve_id, kind, event_id FROM events").fetchall())


def test_an_upgrade_keeps_every_event_and_gives_pixels_their_new_ids(before):
    person, machine = f"pixel:click:{'a' * 32}", f"pixel:impression:{'b' * 32}:flagged"
    with psycopg.connect(before.database_url, autocommit=True) as connection:
        for event_id, kind, serving in (("e-1", 0, 0), ("用户-1", 1, 0), (person, 1, 1), (machine, 0, 1)):
            an_event(connection, event_id, kind, SERVINGS[serving])
        for serving in SERVINGS:
            an_old_exposure(connection, serving)
        # a sender took the id of another token's pixel
        an_event(connection, f"pixel:click:{'c' * 32}", 1, SERVINGS[1])
        migrate(before, "0005")
        assert len(identities(connection)) == 5
        assert {(SERVINGS[0], 1, "用户-1"), (SERVINGS[1], 0, "pixel/machine"), (SERVINGS[1], 1, "pixel/person")} <= (
            identities(connection)
        )
        queued = connection.execute("SELECT count(*) FROM stale_tokens").fetchone()
        tokens = connection.execute("SELECT sum(tokens) FROM token_days").fetchone()
        assert (queued, tokens) == ((2,), (2,))


def test_a_downgrade_keeps_every_event_although_ids_must_be_unique_again(before):
    migrate(before, "0005")
    with psycopg.connect(before.database_url, autocommit=True) as connection:
        told = [(serving, kind, "auction-7") for serving in SERVINGS for kind in (0, 1, 2)]
        told += [(SERVINGS[0], 1, "pixel/person"), (SERVINGS[1], 1, "pixel/person"), (SERVINGS[0], 3, "refund-1")]
        for serving, kind, event_id in told:
            an_event(connection, event_id, kind, serving)
        downgrade(before, "0004")
        kept = identities(connection)
        assert {(serving, kind) for serving, kind, _ in kept} == {(serving, kind) for serving, kind, _ in told}
        assert len(kept) == len(told) == len({event_id for _, _, event_id in kept})
        migrate(before, "0005")
        assert {(SERVINGS[0], 1, "pixel/person"), (SERVINGS[1], 1, "pixel/person")} <= identities(connection)
