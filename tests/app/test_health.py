"""Is it alive, is it ready, and what do its metrics say?"""

from __future__ import annotations

import pytest
from fakes import FakePolicyServer
from service import GOOD
from sqlalchemy import text

from app.services.admin import readiness
from app.store.database import Database


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch):
    monkeypatch.setattr(readiness, "KEPT_S", -1.0)


async def states(client) -> dict[str, str]:
    return {part["name"].partition("-")[0]: part["state"] for part in (await client.get("/readyz")).json()["parts"]}


async def test_a_live_process_says_so_to_anyone(client):
    assert (await client.get("/healthz")).json() == {"status": "alive"}


async def test_a_service_with_all_its_parts_is_ready(client):
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert await states(client) == {
        "database": "ready",
        "registry": "ready",
        "rules": "ready",
        "policy relate": "ready",
    }


async def test_a_policy_that_is_down_degrades_and_does_not_unready(client, upstream):
    upstream.status = 503
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert (await states(client))["policy relate"] == "degraded"


@pytest.fixture
async def other():
    async with FakePolicyServer(answer=lambda body: GOOD[: body["n"]]).running() as server:
        yield server


async def test_every_policy_in_use_is_asked(client, bearer, other):
    client.headers.update(await bearer("ops"))
    body = {
        "name": "another",
        "kind": "vllm",
        "model": "relate-8b",
        "locales": ["en-US"],
        "endpoint": other.url,
    }
    version = (await client.post("/policies", json=body)).json()["version"]
    assert "policy another" not in await states(client)
    promotion = await client.post("/policies/challenger", json={"action": "promote", "version": version})
    assert promotion.status_code == 200, promotion.text
    other.status = 503
    readiness_of_both = {name: state for name, state in (await states(client)).items() if name.startswith("policy")}
    assert readiness_of_both == {"policy relate": "ready", "policy another": "degraded"}


async def test_a_replica_whose_rules_are_not_confirmed_is_not_ready(client, app, monkeypatch):
    monkeypatch.setattr(type(app.state.container.state), "confirmed", False)
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert (await states(client))["rules"] == "not_ready"


async def test_a_database_that_is_away_is_named(client, app, monkeypatch):
    def refuse(_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(Database, "direct", refuse)
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert (await states(client))["database"] == "not_ready"
    assert (await client.get("/healthz")).status_code == 200


async def test_the_answer_is_kept_for_a_second(client, app, monkeypatch):
    await client.get("/readyz")
    asked = []
    monkeypatch.setattr(readiness.Readiness, "_reach_database", lambda self: asked.append(self))
    monkeypatch.setattr(readiness, "KEPT_S", 60.0)
    await client.get("/readyz")
    assert asked == []


async def test_metrics_are_for_scrapers_with_a_key(client, bearer):
    assert (await client.get("/metrics")).status_code == 401
    assert (await client.get("/metrics", headers=await bearer("report"))).status_code == 403
    await client.get("/healthz")
    answer = await client.get("/metrics", headers=await bearer("ops"))
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'relate_request_seconds_count{route="/healthz",status="200"}' in answer.text


async def test_a_query_that_fails_does_not_show_its_parameters(app):
    with pytest.raises(Exception, match="division by zero") as failure:
        async with app.state.container.database.begin() as connection:
            await connection.execute(text("SELECT 1 / length(replace(:query, :query, ''))"), {"query": "机密查询"})
    assert "机密" not in str(failure.value)
