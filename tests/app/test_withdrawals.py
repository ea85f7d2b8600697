"""The kill switch: what is withdrawn is served by no replica, through every failure, until it is restored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

import httpx
import psycopg
import pytest
from fakes import FakePolicyServer
from outage import DatabaseProxy
from service import BOOTS, GOOD, KAFFEE, Generate, a_request, start_experiment

from app.core.settings import Settings
from app.main import create_app

HEARD_S = 5.0  # on a busy machine; how long it took is recorded, and a second is what is promised


@asynccontextmanager
async def replica(settings: Settings, keys: dict[str, dict[str, str]]) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://relate.test", headers=keys["admin"]
        ) as client,
    ):
        yield client


@pytest.fixture
async def replicas(settings: Settings, keys: dict[str, dict[str, str]]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two replicas of one service."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(replica(settings, keys)) for _ in range(2)]


async def served(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/generate", json=body)
    assert answer.status_code == 200, answer.text
    parsed: dict[str, Any] = answer.json()
    return parsed


async def withdraw(client: httpx.AsyncClient, kind: str, subject: str) -> int:
    answer = await client.post("/withdrawals", json={"kind": kind, "subject": subject, "reason": "投诉 / complaint"})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def names(kind: str, body: dict[str, Any], text: dict[str, Any]) -> str:
    return str(
        {"text": text["text_id"], "advertiser": body["brief"]["ad"]["advertiser"], "policy": text["policy"]}[kind]
    )


def gone(kind: str, answer: dict[str, Any], text: dict[str, Any]) -> bool:
    """Nothing of what was withdrawn is in an answer."""
    if kind == "advertiser":
        return not answer["texts"] and answer["reason"] == "withdrawn" and answer["fallback_missing"]
    if kind == "policy":
        return answer["reason"] == "withdrawn" and {shown["source"] for shown in answer["texts"]} == {"advertiser"}
    return text["title"] not in {shown["title"] for shown in answer["texts"]}


async def test_what_is_withdrawn_is_soon_served_by_no_replica_and_served_again_once_restored(
    replicas: list[httpx.AsyncClient], record_property: Callable[[str, object], None]
) -> None:
    for kind in ("text", "advertiser", "policy"):
        body = a_request(n=4)
        text = (await served(replicas[0], body))["texts"][0]

        async def everywhere(kind: str = kind, body: dict[str, Any] = body, text: Any = text) -> list[bool]:
            return [gone(kind, await served(client, body | {"unit_id": "読者"}), text) for client in replicas]

        assert not any(await everywhere())
        number = await withdraw(replicas[0], kind, names(kind, body, text))
        began = monotonic()
        assert (await everywhere())[0]  # the replica that was told waits for nothing
        async with asyncio.timeout(HEARD_S):
            while not all(await everywhere()):
                await asyncio.sleep(0.01)
        record_property(f"{kind} withdrawn: seconds until the other replica had heard", round(monotonic() - began, 3))
        for _ in range(20):
            assert all(await everywhere())
        assert (await replicas[1].delete(f"/withdrawals/{number}")).json()["kind"] == kind
        async with asyncio.timeout(HEARD_S):
            while any(await everywhere()):
                await asyncio.sleep(0.01)


async def test_a_withdrawal_outlives_a_restart(settings: Settings, keys: dict[str, dict[str, str]]) -> None:
    body = {"brief": KAFFEE, "platform": "baidu_search", "unit_id": "用户一", "deadline_ms": 5000}
    async with replica(settings, keys) as client:
        assert (await served(client, body))["texts"]
        await withdraw(client, "advertiser", "山间咖啡")
    async with replica(settings, keys) as client:
        assert (await served(client, body))["reason"] == "withdrawn"


async def test_a_withdrawn_advertiser_stays_withdrawn_while_the_database_is_away(
    settings: Settings, keys: dict[str, dict[str, str]]
) -> None:
    with DatabaseProxy(settings.database_url).running() as proxy:
        body = a_request()
        async with replica(settings.model_copy(update={"database_url": proxy.url}), keys) as client:
            assert (await served(client, body))["texts"]
            await withdraw(client, "advertiser", "FELL  &  Moor")  # case and spacing make no other advertiser
            proxy.kill()
            assert gone("advertiser", await served(client, body), {})
            assert gone("advertiser", await served(client, a_request()), {})
            proxy.open()


async def test_a_withdrawn_text_is_not_written_again_by_any_policy_or_for_any_query(
    generate: Generate, client: httpx.AsyncClient, keys: dict[str, dict[str, str]], upstream: FakePolicyServer
) -> None:
    upstream.answer = lambda body: [GOOD[0]]
    text = (await generate())["texts"][0]
    assert (text["source"], text["title"]) == ("fresh", "Walking Boots From Fell & Moor")
    client.headers.update(keys["admin"])
    await withdraw(client, "text", text["text_id"])
    upstream.answer = lambda body: [GOOD[0].replace("Boots From", "boots  from"), GOOD[1]]
    again = await generate(brief={"query": "boots for walking"}, n=4)
    assert [shown["title"] for shown in again["texts"]] == ["Leather Walking Boots"]
    upstream.answer = lambda body: [GOOD[0]]
    answer = await generate(brief={"query": "boots for hill walking"})
    assert (answer["reason"], answer["texts"][0]["source"]) == ("no_compliant_text", "advertiser")
    provenance = (await client.get(f"/texts/{text['text_id']}/provenance")).json()
    assert (provenance["state"], provenance["withdrawn"]) == ("approved", True)


async def test_a_withdrawn_approved_text_gives_way_to_the_template_and_comes_back(
    generate: Generate, client: httpx.AsyncClient, keys: dict[str, dict[str, str]], upstream: FakePolicyServer
) -> None:
    upstream.status = 500
    body = a_request()
    text = (await generate(body))["texts"][0]
    assert text["source"] == "advertiser"
    client.headers.update(keys["review"])
    number = await withdraw(client, "text", text["text_id"])
    assert (await generate(body))["texts"][0]["source"] == "template"
    assert (await client.delete(f"/withdrawals/{number}")).status_code == 200
    assert (await generate(body))["texts"][0]["text_id"] == text["text_id"]


async def test_a_text_that_is_withdrawn_while_a_caller_waits_for_it_is_not_served(
    generate: Generate, client: httpx.AsyncClient, keys: dict[str, dict[str, str]], upstream: FakePolicyServer
) -> None:
    upstream.release = asyncio.Event()
    body = a_request()
    waiting = asyncio.create_task(generate(body))
    while not upstream.bodies:
        await asyncio.sleep(0.01)
    client.headers.update(keys["ops"])
    await withdraw(client, "advertiser", "Fell & Moor")
    upstream.release.set()
    assert gone("advertiser", await waiting, {})


async def test_the_template_itself_can_be_withdrawn(
    generate: Generate, client: httpx.AsyncClient, keys: dict[str, dict[str, str]], upstream: FakePolicyServer
) -> None:
    upstream.status = 500
    body = a_request(ad={"approved": []})
    template = (await generate(body))["texts"][0]
    assert template["source"] == "template"
    client.headers.update(keys["ops"])
    await withdraw(client, "policy", template["policy"])
    answer = await generate(body)
    assert (answer["texts"], answer["reason"]) == ([], "withdrawn")


async def test_an_arm_whose_policy_is_withdrawn_keeps_its_units(
    generate: Generate,
    client: httpx.AsyncClient,
    keys: dict[str, dict[str, str]],
    database: psycopg.Connection[Any],
    app: Any,
) -> None:
    champion = app.state.container.state.registry.champion.version
    nlg = next(
        policy.version for policy in app.state.container.state.registry.policies.values() if policy.kind == "nlg"
    )
    start_experiment(database, "withdrawn-arm", [nlg, champion])
    await app.state.container.state.refresh()
    client.headers.update(keys["ops"])
    await withdraw(client, "policy", champion)
    answers = [await generate(a_request(unit_id=f"u-{number}")) for number in range(20)]
    assert {(answer["arm"], answer["reason"]) for answer in answers} == {("arm0", None), ("arm1", "withdrawn")}
    assert all(answer["texts"] and answer["experiment"] == "withdrawn-arm" for answer in answers)
    parts = (await client.get("/readyz")).json()["parts"]
    assert {part["state"] for part in parts if part["detail"].startswith("withdrawn")} == {"degraded"}
    refused = await client.post("/policies/challenger", json={"action": "promote", "version": champion})
    assert (refused.status_code, refused.json()["rule"]) == (409, "withdrawn")


async def test_a_prefill_for_what_is_withdrawn_says_so(
    client: httpx.AsyncClient, keys: dict[str, dict[str, str]]
) -> None:
    client.headers.update(keys["admin"])
    await withdraw(client, "advertiser", BOOTS["ad"]["advertiser"])
    made = await client.post("/pool/prefill", json={"briefs": [{"brief": BOOTS, "platform": "google_rsa"}]})
    async with asyncio.timeout(10):
        while not (progress := (await client.get(f"/pool/prefill/{made.json()['id']}")).json())["failed"]:
            await asyncio.sleep(0.02)
    assert progress["items"][0]["reason"] == "withdrawn"


async def test_withdrawing_and_restoring_are_in_the_audit_log_once(
    client: httpx.AsyncClient, keys: dict[str, dict[str, str]], database: psycopg.Connection[Any]
) -> None:
    client.headers.update(keys["ops"])
    number = await withdraw(client, "advertiser", "山路靴店")
    assert await withdraw(client, "advertiser", "山路靴店") == number
    assert [row["subject"] for row in (await client.get("/withdrawals")).json()["withdrawals"]] == ["山路靴店"]
    assert (await client.delete(f"/withdrawals/{number}")).status_code == 200
    assert (await client.delete(f"/withdrawals/{number}")).status_code == 404
    found = database.execute("SELECT action, subject, detail ->> 'reason' FROM audit_log ORDER BY id").fetchall()
    assert found == [
        ("advertiser.withdraw", "advertiser:山路靴店", "投诉 / complaint"),
        ("advertiser.restore", "advertiser:山路靴店", "投诉 / complaint"),
    ]


async def test_who_may_withdraw_what(client: httpx.AsyncClient, keys: dict[str, dict[str, str]]) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    for scope, kind, subject, status in (
        ("review", "advertiser", "Fell & Moor", 403),
        ("review", "policy", "relate-1", 403),
        ("generate", "text", nobody, 403),
        ("review", "text", nobody, 404),
        ("review", "text", "広告", 404),
        ("ops", "policy", "relate-1", 404),
    ):
        body = {"kind": kind, "subject": subject, "reason": "why"}
        assert (await client.post("/withdrawals", json=body, headers=keys[scope])).status_code == status, (scope, kind)


async def test_a_key_of_one_advertiser_withdraws_its_own_texts_only(
    client: httpx.AsyncClient, generate: Generate, bearer: Any
) -> None:
    text = (await generate())["texts"][0]["text_id"]
    body = {"kind": "text", "subject": text, "reason": "why"}
    stranger, owner = [await bearer("review", advertiser=name) for name in ("山间咖啡", "Fell & Moor")]
    assert (await client.post("/withdrawals", json=body, headers=stranger)).status_code == 404
    row = (await client.post("/withdrawals", json=body, headers=owner)).json()
    assert (await client.get("/withdrawals", headers=stranger)).json()["withdrawals"] == []
    assert (await client.delete(f"/withdrawals/{row['id']}", headers=stranger)).status_code == 404
    assert (await client.delete(f"/withdrawals/{row['id']}", headers=owner)).status_code == 200
