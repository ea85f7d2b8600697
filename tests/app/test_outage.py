"""The database goes away, hangs, or comes back elsewhere: what is served meanwhile, and how soon texts are back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import monotonic

import httpx
import pytest
from counting import a_funnel
from fastapi import FastAPI
from outage import DatabaseProxy
from service import KAFFEE, Generate, a_request

from app.core.settings import Settings

LASTS_S = 3.2  # a pool that backs off 1, 2 and 4 s would now wait until the seventh second
BACK_S = 3.0  # on a busy machine; `make soak` holds real outages to two seconds


@pytest.fixture
def proxy(database_url: str) -> Iterator[DatabaseProxy]:
    with DatabaseProxy(database_url).running() as running:
        yield running


@pytest.fixture
def settings(settings: Settings, proxy: DatabaseProxy) -> Settings:
    return settings.model_copy(update={"database_url": proxy.url})


OUTAGES: dict[str, tuple[Callable[[DatabaseProxy], None], Callable[[DatabaseProxy], None]]] = {
    "killed": (DatabaseProxy.kill, DatabaseProxy.open),
    "hung": (DatabaseProxy.hang, DatabaseProxy.resume),
    "failed over": (DatabaseProxy.hang, DatabaseProxy.forget),
}


@pytest.mark.parametrize("outage", OUTAGES)
async def test_after_an_outage_of_the_database_texts_are_soon_written_again(
    generate: Generate, proxy: DatabaseProxy, outage: str, record_property: Callable[[str, object], None]
) -> None:
    assert (await generate())["texts"]
    begin, end = OUTAGES[outage]
    begin(proxy)
    until = monotonic() + LASTS_S
    while monotonic() < until:
        await generate(deadline_ms=200)  # a new key each time: nothing in memory helps
        await asyncio.sleep(0.1)
    end(proxy)
    back = monotonic()
    async with asyncio.timeout(BACK_S):
        while not any(text["source"] == "fresh" for text in (await generate(deadline_ms=1000))["texts"]):
            await asyncio.sleep(0.02)
    record_property(f"database {outage}: seconds until a text was written and served", round(monotonic() - back, 2))


async def test_a_database_that_hangs_is_told_by_readyz_and_refuses_events_in_bounded_time(
    client: httpx.AsyncClient, app: FastAPI, keys: dict[str, dict[str, str]], generate: Generate, proxy: DatabaseProxy
) -> None:
    body = {"brief": KAFFEE, "platform": "baidu_search", "unit_id": "用户一", "deadline_ms": 1000}
    [text] = (await generate(body))["texts"]
    events = {"events": a_funnel(text["token"], app.state.container.sealer.open(text["token"]).served_at)}
    proxy.hang()
    async with asyncio.timeout(10):  # without a bound it never ends
        ready, *reported = await asyncio.gather(
            client.get("/readyz"),
            *(client.post("/events", json=events, headers=keys["events"]) for _ in range(40)),
        )
    assert ready.status_code == 503
    assert {part["state"] for part in ready.json()["parts"] if part["name"] == "database"} == {"not_ready"}
    assert {(answer.status_code, answer.json()["rule"]) for answer in reported} == {(503, "database_unavailable")}
    # what memory holds is served all the same
    assert [shown["text_id"] for shown in (await generate(body))["texts"]] == [text["text_id"]]
    proxy.resume()
    answer = await client.post("/events", json=events, headers=keys["events"])
    assert answer.status_code == 200
    assert (await client.get("/readyz")).json()["ready"] or not app.state.container.state.confirmed


async def test_ready_means_that_an_ad_can_be_served(
    client: httpx.AsyncClient, generate: Generate, proxy: DatabaseProxy
) -> None:
    proxy.kill()
    async with asyncio.timeout(10):
        while (await client.get("/readyz")).status_code == 200:
            await asyncio.sleep(0.1)
        await asyncio.sleep(LASTS_S)
    proxy.open()
    async with asyncio.timeout(10):
        while (await client.get("/readyz")).status_code == 503:
            await asyncio.sleep(0.05)
    assert (await generate(a_request(deadline_ms=1000)))["texts"][0]["source"] == "fresh"
