"""Forgetting: a unit on request, old rows when their time is over, and no unit id anywhere."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from counting import a_funnel
from service import a_request
from sqlalchemy import select

from app.services.admin import privacy
from app.services.admin.privacy import retain
from app.store.models.experiments import AuditEntry

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
OF_A_UNIT = ("servings", "events", "exposures", "unit_days", "assigned_units")
UNITS = ["u-1", "用户-001", "ユーザー/二", "a b", "../../etc/passwd", "100%", "?q=1#x"]


def rows(database, table: str) -> int:
    return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def everywhere(database) -> dict[str, int]:
    return {table: rows(database, table) for table in OF_A_UNIT}


@pytest.fixture
async def trial(ad_system):
    """A running experiment over every unit."""
    return await ad_system.experiment()


@pytest.fixture
def shown(generate, ad_system, app):
    """One unit is served a text and clicks on it; everything is written and folded."""

    async def show(unit: str) -> str:
        token = (await generate(a_request(unit_id=unit)))["texts"][0]["token"]
        await ad_system.report(*a_funnel(token, datetime.now(UTC), clicked=True))
        container = app.state.container
        await container.serving_log.flush()
        await container.aggregation.catch_up()
        return token

    return show


async def erase(client, keys, unit: str):
    return await client.delete(f"/units/{quote(unit, safe='')}", headers=keys["admin"])


@pytest.mark.parametrize("unit", UNITS)
async def test_erasing_a_unit_leaves_nothing_of_it_and_everything_of_the_others(
    client, keys, database, trial, shown, unit
):
    await shown("a bystander")
    bystander = everywhere(database)
    await shown(unit)
    answer = await erase(client, keys, unit)
    assert answer.status_code == 200
    assert answer.json()["deleted"] == {
        "servings": 1,
        "events": 2,
        "stale_tokens": 0,
        "exposures": 1,
        "unit_days": 1,
        "assigned_units": 1,
    }
    assert everywhere(database) == bystander


async def test_erasing_again_finds_nothing(client, keys, trial, shown):
    await shown("u-1")
    await erase(client, keys, "u-1")
    assert set((await erase(client, keys, "u-1")).json()["deleted"].values()) == {0}


async def test_what_is_not_written_or_folded_yet_is_erased_too(client, keys, database, trial, generate, ad_system):
    token = (await generate(a_request(unit_id="u-1")))["texts"][0]["token"]
    await ad_system.report(*a_funnel(token, datetime.now(UTC), clicked=True))
    deleted = (await erase(client, keys, "u-1")).json()["deleted"]
    assert (deleted["servings"], deleted["events"]) == (1, 2)
    assert everywhere(database) == dict.fromkeys(OF_A_UNIT, 0)
    assert rows(database, "stale_tokens") == 0


async def test_the_audit_log_tells_of_an_erasure_but_not_of_whom(client, keys, app, trial, shown):
    await shown("用户-001")
    await erase(client, keys, "用户-001")
    async with app.state.container.database.begin() as connection:
        entry = (await connection.execute(select(AuditEntry).where(AuditEntry.action == "unit.erase"))).one()
    assert entry.detail["events"] == 2
    assert "001" not in f"{entry.subject}{entry.actor.partition('(')[0]}"


async def test_no_table_holds_a_unit_id(database, trial, shown):
    await shown("a-unit-id-to-search-for")
    tables = [
        name for (name,) in database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    ]
    found = [
        table for table in tables if rows(database, f"{table} WHERE {table}::text LIKE '%a-unit-id-to-search-for%'")
    ]
    assert found == []


@pytest.mark.parametrize(
    ("unit", "status"), [("u" * 128, 200), ("u" * 129, 422), ("", 422), ("%00", 422), ("a%0Ab", 404), ("%20", 422)]
)
async def test_a_unit_id_is_what_generate_takes(client, keys, unit, status):
    assert (await client.delete(f"/units/{unit}", headers=keys["admin"])).status_code == status


@pytest.mark.parametrize("scope", ["generate", "events", "report", "review", "ops"])
async def test_only_admins_erase(client, keys, scope):
    assert (await client.delete("/units/u-1", headers=keys[scope])).status_code == 403


# ---- retention


@pytest.fixture
def forget(settings, app):
    async def run(days: float) -> dict[str, int]:
        return await retain(settings, app.state.container.database, datetime.now(UTC) + timedelta(days=days))

    return run


async def test_nothing_goes_before_its_time(database, trial, shown, forget):
    await shown("u-1")
    before = everywhere(database)
    assert set((await forget(89.9)).values()) == {0}
    assert everywhere(database) == before


async def test_queries_go_after_ninety_days_and_their_texts_leave_the_pool(database, trial, shown, forget):
    await shown("u-1")
    pooled = rows(database, "texts WHERE state = 'approved'")
    gone = await forget(90.1)
    assert (gone["servings"], gone["briefs"], gone["texts_retired"], gone["events"]) == (1, 1, pooled, 0)
    assert (rows(database, "servings"), rows(database, "briefs"), rows(database, "texts WHERE state = 'approved'")) == (
        0,
        0,
        0,
    )
    assert rows(database, "texts") == pooled  # the text stays, with its provenance: it holds no query


async def test_events_go_after_four_hundred_days_and_leave_no_totals(database, trial, shown, forget):
    await shown("u-1")
    gone = await forget(400.1)
    assert (gone["exposures"], gone["events"], gone["assigned_units"]) == (1, 2, 1)
    assert everywhere(database) == dict.fromkeys(OF_A_UNIT, 0)


async def test_a_unit_that_loses_old_tokens_keeps_the_totals_of_its_new_ones(
    database, app, trial, shown, ad_system, forget
):
    old = ad_system.serve("u-1", phase=trial["phase"], at=datetime.now(UTC) - timedelta(hours=20))
    await ad_system.report(*a_funnel(old, datetime.now(UTC) - timedelta(hours=20), clicked=True))
    new = ad_system.serve("u-1", phase=trial["phase"], at=datetime.now(UTC) - timedelta(hours=2))
    await ad_system.report(*a_funnel(new, datetime.now(UTC) - timedelta(hours=2), converted=True))
    folding = app.state.container.aggregation
    await folding.catch_up()
    gone = await forget(400 - 10 / 24)
    await folding.catch_up()
    assert (gone["exposures"], gone["events"]) == (1, 2)
    totals = database.execute(
        "SELECT sum(impressions), sum(clicks), sum(conversions), max(clicks_before) FROM unit_days"
    ).fetchone()
    assert totals == (1, 1, 1, 0)


async def test_retention_goes_on_until_all_is_gone_however_small_its_batches(
    database, trial, shown, forget, monkeypatch
):
    for unit in UNITS:
        await shown(unit)
    monkeypatch.setattr(privacy, "BATCH", 2)
    assert (await forget(400.1))["events"] == 2 * len(UNITS)
    assert everywhere(database) == dict.fromkeys(OF_A_UNIT, 0)


async def test_prefilled_briefs_are_forgotten_like_served_ones(database, client, keys, forget):
    body = {"briefs": [{"brief": a_request()["brief"], "platform": "google_rsa"}]}
    made = await client.post("/pool/prefill", json=body, headers=keys["ops"])
    assert (await forget(90.1))["prefill_items"] == made.json()["items"] > 0
    assert rows(database, "prefill_items") == 0


# ---- whatever is asked for again lives again


def age(database, days: int) -> None:
    """As if everything so far had happened that much earlier."""
    by = f"interval '{days} days'"
    database.execute(f"UPDATE briefs SET created_at = created_at - {by}, used_at = used_at - {by}")
    database.execute(f"UPDATE servings SET at = at - {by}")


async def test_retention_counts_from_the_last_use_not_from_the_first(database, generate, app, forget):
    body = a_request()
    await generate(body)
    age(database, 80)
    again = await generate(body)
    assert again["texts"][0]["source"] == "pool"
    await app.state.container.serving_log.flush()
    gone = await forget(20)  # 100 days after it was written, 20 after it was served
    assert (gone["briefs"], gone["texts_retired"]) == (0, 0)


@pytest.mark.parametrize("by_model", [True, False])
async def test_an_ad_that_retention_took_gets_its_texts_again_when_it_is_asked_for_again(
    database, generate, upstream, forget, by_model
):
    if not by_model:
        upstream.status = 503
    body = a_request(n=4)
    before = await generate(body)
    assert (await forget(90.1))["texts_retired"] > 0
    async with asyncio.timeout(20):
        while not (after := await generate(body))["texts"] or after["texts"][0]["source"] == "pool":
            await asyncio.sleep(0.05)  # until the replica has heard that the key changed
    assert {text["title"] for text in after["texts"]} == {text["title"] for text in before["texts"]}
    assert after["texts"][0]["source"] == ("fresh" if by_model else "advertiser")
    assert rows(database, "texts WHERE state = 'approved'") > 0


async def test_a_rejected_text_stays_rejected_after_its_brief_was_forgotten(
    client, keys, database, generate, upstream, forget
):
    upstream.status = 503
    body = a_request()
    [text] = (await generate(body))["texts"]
    await client.post(f"/texts/{text['text_id']}/review", json={"decision": "reject"}, headers=keys["review"])
    await forget(90.1)
    async with asyncio.timeout(20):
        while any(shown["text_id"] == text["text_id"] for shown in (await generate(body))["texts"]):
            await asyncio.sleep(0.05)
    assert database.execute("SELECT state FROM texts WHERE id = %s", (text["text_id"],)).fetchone() == ("rejected",)
