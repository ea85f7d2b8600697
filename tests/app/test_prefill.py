"""Writing ahead: what stops one item stops no other, and nothing in the database waits for a model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest
from fakes import FakePolicyServer
from fastapi import FastAPI
from psycopg.types.json import Jsonb
from service import KAFFEE, a_request

from app.services.serving import generation, prefill
from app.services.serving.candidates import vet

Database = psycopg.Connection[tuple[Any, ...]]
Prefill = Callable[..., Awaitable[list[dict[str, Any]]]]


@pytest.fixture
def prefilled(client: httpx.AsyncClient, keys: dict[str, dict[str, str]]) -> Prefill:
    """Queue briefs; returns the items once `finished` of them are done or failed."""

    async def queue(*briefs: dict[str, Any], finished: int, **more: Any) -> list[dict[str, Any]]:
        body = {"briefs": [{"brief": brief, "platform": "google_rsa"} for brief in briefs], **more}
        made = (await client.post("/pool/prefill", json=body, headers=keys["ops"])).json()
        async with asyncio.timeout(60):
            while True:
                progress = (await client.get(f"/pool/prefill/{made['id']}", headers=keys["ops"])).json()
                if progress["done"] + progress["failed"] >= finished:
                    items: list[dict[str, Any]] = progress["items"]
                    return items
                await asyncio.sleep(0.05)

    return queue


async def test_an_unexpected_error_fails_its_item_with_a_reason_and_the_workers_go_on(
    prefilled: Prefill, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(completions: Any, brief: Any, *rest: Any, **more: Any) -> Any:
        if brief.query == "壊れた":
            raise ZeroDivisionError
        return vet(completions, brief, *rest, **more)

    monkeypatch.setattr(generation, "vet", broken)
    bad = [a_request(brief={"query": "壊れた"})["brief"] for _ in range(5)]  # more than there are workers
    items = await prefilled(*bad, a_request()["brief"], finished=6)
    assert [(item["state"], item["reason"]) for item in items] == [("failed", "internal_error")] * 5 + [("done", None)]


async def test_items_of_a_policy_that_does_not_answer_block_no_others(
    prefilled: Prefill, client: httpx.AsyncClient, app: FastAPI, database: Database, keys: dict[str, dict[str, str]]
) -> None:
    database.execute(
        "INSERT INTO policies (version, kind, endpoint, model, locales, decoding) SELECT 'dead-1', kind, "
        "'http://127.0.0.1:9', model, locales, decoding FROM policies WHERE kind = 'vllm'"
    )
    database.execute("UPDATE revisions SET number = number + 1 WHERE topic = 'registry'")
    await app.state.container.state.refresh()
    await prefilled(*(a_request()["brief"] for _ in range(12)), finished=0, policy="dead-1")
    [item] = await prefilled(a_request()["brief"], finished=1)
    assert item["state"] == "done"
    assert database.execute("SELECT DISTINCT state FROM prefill_items WHERE policy_version = 'dead-1'").fetchall() == [
        ("waiting",)
    ]


async def test_no_transaction_is_open_while_the_model_writes(
    prefilled: Prefill, upstream: FakePolicyServer, database: Database
) -> None:
    upstream.release = asyncio.Event()
    await prefilled(*(a_request()["brief"] for _ in range(4)), finished=0)
    async with asyncio.timeout(20):
        while len(upstream.bodies) < 4:
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in %'"
    assert database.execute(waiting).fetchone() == (0,)
    upstream.release.set()


async def test_an_item_that_a_crashed_replica_held_is_written_when_its_time_is_over(
    prefilled: Prefill, app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefill, "IDLE_S", 0.1)
    await app.state.container.prefilling.stop()
    await prefilled(a_request()["brief"], finished=0)
    database.execute("UPDATE prefill_items SET due_at = now() + interval '1 second'")  # as the crash left it
    await app.state.container.prefilling.start()
    async with asyncio.timeout(20):
        while database.execute("SELECT state FROM prefill_items").fetchone() != ("done",):
            await asyncio.sleep(0.05)
    assert database.execute("SELECT DISTINCT origin, state FROM texts").fetchall() == [("model", "approved")]


async def test_what_is_finished_keeps_no_query(prefilled: Prefill, database: Database) -> None:
    items = await prefilled(a_request()["brief"], KAFFEE, finished=2)
    assert [item["state"] for item in items] == ["done", "failed"]
    assert database.execute("SELECT brief FROM prefill_items").fetchall() == [(Jsonb({}).obj,)] * 2
