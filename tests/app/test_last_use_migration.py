"""The step to retention by last use, there and back: what was served lately counts as used then."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files
from typing import Any

import psycopg
import pytest
from alembic import command
from counting import digest

from app.core.settings import Settings
from app.store.migrate import alembic_config, migrate

TEXT_COLUMNS = (
    "id, pool_key, policy_id, origin, state, title, description, brief_digest, advertiser, ad_id, industry, locale, "
    "platform, spec_version, rules_version, score, findings"
)


@pytest.fixture
def before(postgres: str, tmp_path: Any) -> Iterator[Settings]:
    """An empty database as the release before left it."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE last_use_migration")
    settings = Settings(
        database_url=postgres.replace("/postgres?", "/last_use_migration?"), data_dir=tmp_path, policy_url="http://x"
    )
    migrate(settings, "0003")
    yield settings
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE last_use_migration WITH (FORCE)")


def a_brief(connection: psycopg.Connection[Any], name: str, *, served: bool) -> None:
    """A brief of a hundred days ago with one text, which was served yesterday or never."""
    key = digest(name)
    connection.execute("INSERT INTO briefs VALUES (%s, '{}', now() - interval '100 days')", (key,))
    connection.execute(
        f"INSERT INTO texts ({TEXT_COLUMNS}) SELECT %s, %s, max(id), 'model', 'approved', %s, '', %s, '', 'ad', "
        "'food', 'zh-CN', 'generic', '1', '1', 1, '[]' FROM policies",
        (key.hex(), key, name, key),
    )
    if served:
        connection.execute(
            "INSERT INTO servings (id, at, request_id, unit, text_id, source, position, query, locale, platform, "
            "latency_ms) VALUES (%s, now() - interval '1 day', '', '', %s, 1, 0, '', 'zh-CN', 'generic', 1)",
            (digest(f"serving of {name}").hex(), key.hex()),
        )


def test_what_was_served_yesterday_was_used_yesterday_and_the_rest_when_it_was_written(before: Settings) -> None:
    with psycopg.connect(before.database_url) as connection:
        connection.execute(
            "INSERT INTO policies (version, kind, locales, decoding) VALUES ('nlg-1', 'nlg', '{}', '{}')"
        )
        a_brief(connection, "咖啡", served=True)
        a_brief(connection, "靴", served=False)
    migrate(before)
    with psycopg.connect(before.database_url) as connection:
        days = dict(
            connection.execute(
                "SELECT title, date_part('day', now() - used_at)::int FROM briefs JOIN texts ON digest = brief_digest"
            ).fetchall()
        )
    assert days == {"咖啡": 1, "靴": 100}
    with as_file(files("migrations")) as scripts:
        command.downgrade(alembic_config(before, scripts), "0003")
    with psycopg.connect(before.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM briefs").fetchone() == (2,)
