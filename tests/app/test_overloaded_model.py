"""More keys are missed than the model can write: its places go to callers that still wait."""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakePolicyServer
from fastapi import FastAPI
from service import Generate, a_request

from app.core.settings import Settings
from app.services.serving.slots import CallSlots


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"policy_concurrency": 1})


async def test_a_key_that_nobody_waits_for_any_more_is_not_written(
    app: FastAPI, upstream: FakePolicyServer, generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CallSlots, "pace", 0.0)  # nothing is known that would keep them from waiting
    upstream.release = asyncio.Event()
    first = asyncio.create_task(generate(deadline_ms=60_000))
    while not upstream.bodies:
        await asyncio.sleep(0.01)
    late = [asyncio.create_task(generate(deadline_ms=300)) for _ in range(5)]
    assert {(await answer)["texts"][0]["source"] for answer in late} == {"advertiser"}
    upstream.release.set()
    assert (await first)["texts"][0]["source"] == "fresh"
    assert app.state.container.serving._generation.under_way == 0
    assert len(upstream.bodies) == 1


async def test_a_caller_whose_turn_would_come_too_late_is_told_at_once(
    app: FastAPI, upstream: FakePolicyServer, generate: Generate
) -> None:
    upstream.delay = 0.3
    for _ in range(3):
        await generate(deadline_ms=60_000)
    waiting = [asyncio.create_task(generate(deadline_ms=60_000)) for _ in range(8)]
    while len(upstream.bodies) < 4 or app.state.container.serving._generation.under_way < 8:
        await asyncio.sleep(0.01)
    refused = await generate(a_request(deadline_ms=2_000))
    assert (refused["reason"], refused["texts"][0]["source"]) == ("overloaded", "advertiser")
    assert not any(task.done() for task in waiting[2:])
    assert {(await answer)["texts"][0]["source"] for answer in waiting} == {"fresh"}


async def test_refills_that_nobody_waits_for_leave_places_for_those_who_do(app: FastAPI, generate: Generate) -> None:
    generation = app.state.container.serving._generation
    generation._most = 2
    generation._refills._tasks = {b"behind": asyncio.get_running_loop().create_future()}
    generation.refill_behind(type("Order", (), {"key": b"another"})(), None)
    assert generation.under_way == 1
    assert (await generate(deadline_ms=60_000))["texts"][0]["source"] == "fresh"
    generation._refills._tasks.clear()
