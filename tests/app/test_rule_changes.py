"""A rule is switched, an advertiser's own rules change: every replica follows within a second, the pool is checked
again, nobody else's texts are touched, and what is undone comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

import pytest
from fastapi import FastAPI
from service import BOOTS, a_request
from sqlalchemy import select

from adtext.remember import MIB
from adtext.rules import load_rules
from app.core.settings import Settings
from app.runtime.pool_cache import Heads
from app.runtime.state import ReplicaState
from app.store.database import Database
from app.store.models.experiments import AuditEntry

SHOP = "Fell & Moor"
OWN = "/advertisers/Fell & Moor/rules"
LINE = "Resoled in our own workshop. Visit the shop in Keswick."


@pytest.fixture
async def ops(client: Any, bearer: Callable[..., Any]) -> Any:
    client.headers.update(await bearer("ops", "review", "generate", "report"))
    return client


@pytest.fixture
async def replica(settings: Settings, app: FastAPI) -> AsyncIterator[ReplicaState]:
    """A second replica's memory, which hears of changes through the database alone."""
    database = Database(settings)
    state = ReplicaState(settings, database, load_rules(), Heads(MIB))
    await state.start()
    yield state
    await state.stop()
    await database.close()


async def within_a_second(holds: Callable[[], bool]) -> None:
    started = monotonic()
    while not holds():
        assert monotonic() - started < 10  # a slow machine; the poll alone takes half a second
        await asyncio.sleep(0.01)


async def findings(ops: Any, title: str, **more: Any) -> list[tuple[str, str]]:
    body = {"brief": BOOTS, "platform": "google_rsa", "texts": [{"title": title, "description": LINE}], **more}
    answer = await ops.post("/check", json=body)
    assert answer.status_code == 200, answer.text
    return [(finding["rule"], finding["severity"]) for finding in answer.json()["texts"][0]["findings"]]


async def audited(app: FastAPI, subject: str) -> list[tuple[str, dict[str, Any]]]:
    async with app.state.container.database.begin() as connection:
        rows = await connection.execute(select(AuditEntry).where(AuditEntry.subject == subject).order_by(AuditEntry.id))
        return [(row.action, row.detail) for row in rows]


# ---- switches


async def test_a_switch_softens_a_rule_on_every_replica_and_back(ops: Any, app: FastAPI, replica: ReplicaState) -> None:
    before = replica.rules.version
    assert await findings(ops, "BUY BOOTS") == [("shouting", "block")]
    held = (await ops.put("/rules/shouting", json={"switch": "review", "reason": "a brand in capitals"})).json()
    assert (held["switch"], held["reason"]) == ("review", "a brand in capitals")
    assert await findings(ops, "BUY BOOTS") == [("shouting", "review")]
    await within_a_second(lambda: replica.rules.switches == {"shouting": "review"})
    await ops.put("/rules/shouting", json={"switch": "off", "reason": "a brand in capitals"})
    assert await findings(ops, "BUY BOOTS") == []
    await ops.put("/rules/shouting", json={"switch": None, "reason": "the campaign is over"})
    assert await findings(ops, "BUY BOOTS") == [("shouting", "block")]
    await within_a_second(lambda: replica.rules.version == before and not replica.rules.switches)
    assert replica.confirmed
    changes = [(detail["before"], detail["after"]) for _, detail in await audited(app, "rule:shouting")]
    pack = "as its pack says"
    assert changes == [(pack, "review"), ("review", "off"), ("off", pack)]


@pytest.mark.parametrize(
    ("path", "body", "status", "rule"),
    [
        ("/rules/canary", {"switch": "off", "reason": "why not"}, 409, "unswitchable_rule"),
        ("/rules/too_long", {"switch": "review", "reason": "why not"}, 409, "unswitchable_rule"),
        ("/rules/no_such_rule", {"switch": "off", "reason": "why not"}, 404, "unknown_rule"),
        ("/rules/shouting", {"switch": "off"}, 422, "invalid_request"),
        ("/rules/shouting", {"switch": "warn", "reason": "why not"}, 422, "invalid_request"),
    ],
)
async def test_a_switch_is_refused_by_name(ops: Any, path: str, body: Any, status: int, rule: str) -> None:
    answer = await ops.put(path, json=body)
    assert (answer.status_code, answer.json()["rule"]) == (status, rule)


async def test_a_replica_of_other_packs_changes_nothing(
    ops: Any, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = app.state.container.state
    monkeypatch.setattr(state, "packs", state.packs.switched({"emoji": "off"}))
    answer = await ops.put("/rules/shouting", json={"switch": "off", "reason": "why not"})
    assert (answer.status_code, answer.json()["rule"]) == (409, "other_packs_in_force")


async def test_only_ops_switch_a_rule(client: Any, bearer: Callable[..., Any]) -> None:
    client.headers.update(await bearer("review"))
    assert (await client.put("/rules/shouting", json={"switch": "off", "reason": "why not"})).status_code == 403
    assert (await client.get("/rules")).status_code == 200


async def test_rules_and_entries_are_listed_with_their_sources(ops: Any) -> None:
    listed = (await ops.get("/rules")).json()
    packs = {pack["name"]: pack for pack in listed["packs"]}
    assert packs["prc_advertising_law.toml"]["source"].startswith("Advertising Law of the PRC")
    assert {rule["rule"] for rule in listed["rules"]} >= {"shouting", "absolute_claim", "excluded_term"}
    found = (await ops.get("/rules/entries", params={"q": "最佳 art. 9"})).json()
    assert found["found"] and all("最佳" in entry["term"] or "最佳" in entry["reason"] for entry in found["entries"])
    assert found["entries"][0]["pack"] == "prc_advertising_law.toml"


# ---- an advertiser's own rules


async def test_own_rules_apply_to_one_advertiser_and_are_versioned(ops: Any, app: FastAPI) -> None:
    put = (await ops.put(OWN, json={"excluded_terms": ["cheap"], "note": "brand book"})).json()
    assert (put["version"], put["in_force"], put["rules"]["excluded_terms"]) == (1, True, ["cheap"])
    assert await findings(ops, "Cheap Walking Boots") == [("excluded_term", "block")]
    assert await findings(ops, "Cheap Walking Boots", advertiser="Someone Else") == []
    assert (await ops.put(OWN, json={"excluded_terms": ["cheap"]})).json()["version"] == 1  # equal: no new version
    assert (await ops.put(OWN, json={"excluded_terms": ["bargain"]})).json()["version"] == 2
    assert await findings(ops, "Cheap Walking Boots") == []
    assert (await ops.delete(OWN)).json()["rules"] is None
    assert (await ops.get(OWN)).status_code == 404
    history = (await ops.get(f"{OWN}/versions")).json()["versions"]
    assert [(version["version"], version["in_force"]) for version in history] == [(3, True), (2, False), (1, False)]
    assert [action for action, _ in await audited(app, f"advertiser:{SHOP}")] == [
        "advertiser_rules.put",
        "advertiser_rules.put",
        "advertiser_rules.delete",
    ]


async def test_contradicting_rules_are_refused_with_field_and_value(ops: Any) -> None:
    answer = await ops.put(OWN, json={"excluded_terms": ["bargain", "Moor"], "required_phrases": [{"phrase": "最佳"}]})
    problem = answer.json()
    assert (answer.status_code, problem["rule"]) == (422, "forbids_own_name")
    assert [(error["field"], error["value"]) for error in problem["errors"]] == [
        ("excluded_terms.1", "Moor"),
        ("required_phrases.0.phrase", "最佳"),
    ]


async def test_a_key_of_one_advertiser_reaches_its_own_rules_only(client: Any, bearer: Callable[..., Any]) -> None:
    client.headers.update(await bearer("review", advertiser=SHOP))
    assert (await client.put(OWN, json={"excluded_terms": ["cheap"]})).status_code == 200
    assert (await client.put("/advertisers/Someone/rules", json={})).status_code == 403
    assert (await client.get("/advertisers/Someone/rules/versions")).status_code == 403


async def test_a_pooled_text_is_withdrawn_at_once_and_comes_back_and_no_other_pool_is_touched(
    ops: Any, app: FastAPI, database: Any, replica: ReplicaState
) -> None:
    mine, other = a_request(n=8), a_request(n=8, ad={"advertiser": "Moss & Son"})
    live = app.state.container

    async def served(body: Any) -> list[str]:
        texts = (await ops.post("/generate", json=body)).json()["texts"]
        return sorted(f"{text['title']}: {text['description']}" for text in texts)

    def states(advertiser: str) -> list[tuple[str, ...]]:
        columns = (
            "SELECT title, state, rules_version FROM texts WHERE advertiser = %s AND origin = 'model' ORDER BY title"
        )
        return database.execute(columns, [advertiser]).fetchall()

    written, beside = await served(mine), await served(other)
    before = states(SHOP), states("Moss & Son")
    assert len(written) == len(beside) > sum("slope" in text for text in written) > 0
    await ops.put(OWN, json={"excluded_terms": ["slope"]})
    assert await served(mine) == [text for text in written if "slope" not in text]
    assert await served(other) == beside
    version = live.state.rules_of(SHOP).version
    await within_a_second(lambda: replica.rules_of(SHOP).version == version)
    assert replica.rules_of("Moss & Son") is replica.rules
    checked = {("approved", version), ("rejected", version)}
    await within_a_second(lambda: {(state, passed) for _, state, passed in states(SHOP)} == checked)
    assert states("Moss & Son") == before[1]
    assert await served(mine) == [text for text in written if "slope" not in text]
    await ops.delete(OWN)
    await within_a_second(lambda: (states(SHOP), states("Moss & Son")) == before)
    async with asyncio.timeout(10):  # the head in memory is dropped when the database says so
        while await served(mine) != written:
            await asyncio.sleep(0.01)
