"""What a data directory from an earlier release serves: nothing answers to the weights that were packaged then."""

from __future__ import annotations

import psycopg
import pytest

import app.store.seed as seed
from app.core.settings import Settings


@pytest.fixture
def upgraded(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a release that packages another policy than the one this database began with."""
    monkeypatch.setattr(seed, "PACKAGED_POLICY", "relate-en-next")
    return settings.replaced(policy_model="relate-en-next")


def rows(settings: Settings, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(settings.database_url) as connection:
        return connection.execute(query).fetchall()


CHAMPION = """
    SELECT version, model, decoding->>'temperature' FROM policies JOIN policy_aliases USING (version)
    WHERE alias = 'champion'"""


def test_the_champion_of_this_release_stays(settings: Settings) -> None:
    assert seed.adopt_packaged(settings) is None


def test_a_champion_whose_weights_no_longer_ship_makes_way_for_those_that_do(upgraded: Settings) -> None:
    ((old, *_),) = rows(upgraded, CHAMPION)
    (number,) = rows(upgraded, "SELECT number FROM revisions WHERE topic = 'registry'")
    moved = seed.adopt_packaged(upgraded)
    ((new, model, temperature),) = rows(upgraded, CHAMPION)
    assert moved == (old, new) and new != old
    assert (model, temperature) == ("relate-en-next", "0.6")
    # replicas read it again
    assert rows(upgraded, "SELECT number FROM revisions WHERE topic = 'registry'") == [(number[0] + 1,)]
    assert rows(upgraded, "SELECT actor, subject FROM audit_log ORDER BY id DESC LIMIT 1") == [
        ("relate up", f"policy:{new}")
    ]

    assert seed.adopt_packaged(upgraded) is None
    assert rows(upgraded, "SELECT count(*) FROM policies") == [(3,)]


def test_a_champion_with_a_server_of_its_own_stays(upgraded: Settings) -> None:
    with psycopg.connect(upgraded.database_url) as connection:
        connection.execute("UPDATE policies SET endpoint = 'http://gpu-1:8000' WHERE kind = 'vllm'")
    assert seed.adopt_packaged(upgraded) is None
