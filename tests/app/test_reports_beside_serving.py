"""Who reads reports takes nothing from who serves ads."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
from counting import AdSystem, a_funnel
from service import Generate, a_request

from app.store.fold import LOCK

HELD_S = 3.0  # longer than a replica may go without having confirmed its rules


async def test_sixty_reports_at_once_leave_generate_at_its_pool(
    generate: Generate,
    ad_system: AdSystem,
    client: httpx.AsyncClient,
    keys: dict[str, dict[str, str]],
    database: psycopg.Connection[tuple[Any, ...]],
) -> None:
    await ad_system.experiment()
    body = a_request(unit_id="用户一")
    [text] = (await generate(body))["texts"]
    await ad_system.report(*a_funnel(text["token"], ad_system.container.sealer.open(text["token"]).served_at))
    database.execute("SELECT pg_advisory_lock(%s)", (LOCK,))  # another replica folds, and takes its time
    reports = asyncio.gather(*(client.get("/experiments/title-test/report", headers=keys["report"]) for _ in range(60)))
    loop = asyncio.get_running_loop()
    loop.call_later(HELD_S, lambda: database.execute("SELECT pg_advisory_unlock(%s)", (LOCK,)))
    served = set()
    while not reports.done():
        answer = await generate(body)
        served.add((answer["reason"], answer["texts"][0]["source"]))
        await asyncio.sleep(0.02)
    assert served == {(None, "pool")}
    assert [answer.status_code for answer in await reports] == [200] * 60
    assert {sum(arm["impressions"] for arm in answer.json()["arms"]) for answer in await reports} == {0}  # not mature
