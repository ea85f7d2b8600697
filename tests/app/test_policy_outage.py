"""A model server that dies takes nothing else along, and what it costs is told once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fakes import FakePolicyServer
from fastapi import FastAPI
from prometheus_client import REGISTRY
from service import KAFFEE, Generate, a_request

from app.policies import outages
from app.policies.outages import Outages
from app.services.admin.policy_watch import PolicyWatch


def gauge(version: str) -> float | None:
    return REGISTRY.get_sample_value("relate_policy_up", {"policy": version})


def watch(app: FastAPI) -> PolicyWatch:
    return PolicyWatch(app.state.container.state, app.state.container.clients)


async def test_a_dead_policy_server_is_told_by_a_gauge_and_by_one_line_with_what_fell_back(
    generate: Generate, app: FastAPI, upstream: FakePolicyServer, caplog: pytest.LogCaptureFixture
) -> None:
    version = app.state.container.state.registry.champion.version
    await watch(app).look()
    assert gauge(version) == 1
    upstream.status = 503
    for _ in range(5):
        assert (await generate())["reason"] == "policy_unavailable"
    assert gauge(version) == 0
    upstream.status = 200
    async with asyncio.timeout(10):
        while (await generate())["texts"][0]["source"] != "fresh":
            await asyncio.sleep(0.1)
    assert gauge(version) == 1
    failures = [record for record in caplog.records if record.message == "policy server failed"]
    [told] = [record for record in caplog.records if record.message == "policy answers again"]
    assert len(failures) == 1
    assert vars(told)["texts_fell_back"] >= 5 and vars(told)["policy"] == version and vars(told)["since"]


async def test_a_policy_server_that_dies_while_nobody_asks_is_noticed(app: FastAPI, upstream: FakePolicyServer) -> None:
    version = app.state.container.state.registry.champion.version
    upstream.status = 500
    await watch(app).look()
    assert gauge(version) == 0


def test_a_health_check_that_passes_ends_no_outage_while_calls_fail(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr(outages, "monotonic", lambda: now)
    seen, version = Outages(), "relate-旗舰"
    for _ in range(30):  # calls fail, checks pass, for two and a half minutes
        seen.failed(version)
        seen.checked(version, healthy=True)
        now += 5
    assert gauge(version) == 0
    assert [record.message for record in caplog.records] == ["policy does not answer"] * 2  # once a minute
    now += outages.SURE_S
    seen.checked(version, healthy=True)
    assert gauge(version) == 1
    seen.keep(set())
    assert gauge(version) is None  # retired: no alarm for ever


async def test_the_number_of_pool_heads_is_a_gauge(
    generate: Generate, client: httpx.AsyncClient, bearer: Callable[..., Awaitable[dict[str, str]]]
) -> None:
    await generate(a_request())
    await generate({"brief": KAFFEE, "platform": "baidu_search", "unit_id": "用户一", "deadline_ms": 1000})
    text = (await client.get("/metrics", headers=await bearer("ops"))).text
    [line] = [line for line in text.splitlines() if line.startswith("relate_pool_heads ")]
    assert float(line.split()[1]) >= 2


async def test_eight_keys_after_one_slow_answer_are_all_written_for(
    generate: Generate, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots: Any = app.state.container.serving._generation._slots_of(app.state.container.state.registry.champion)
    slots._answers.append(90.0)
    answers = await asyncio.gather(*(generate(deadline_ms=20_000) for _ in range(8)))
    assert [answer["reason"] for answer in answers] == [None] * 8


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
