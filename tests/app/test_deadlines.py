"""The deadline and the logged latency count from the arrival of a request, and a refusal to wait has its own reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
from fakes import FakePolicyServer
from fastapi import FastAPI
from service import KAFFEE, Generate, a_request

from app.core.contract import Reason

SLOW_S = 0.4  # what the body takes to come in


async def slowly(body: dict[str, Any]) -> AsyncIterator[bytes]:
    await asyncio.sleep(SLOW_S)
    yield json.dumps(body).encode()


async def test_a_deadline_that_passed_while_the_body_came_in_leaves_no_time_for_the_model(
    client: httpx.AsyncClient, keys: dict[str, dict[str, str]], upstream: FakePolicyServer
) -> None:
    upstream.delay = 0.2
    headers = keys["generate"] | {"Content-Type": "application/json"}
    answer = await client.post("/generate", content=slowly(a_request(deadline_ms=300)), headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (200, "deadline")


async def test_the_logged_latency_is_that_of_the_whole_answer(
    client: httpx.AsyncClient,
    keys: dict[str, dict[str, str]],
    app: FastAPI,
    database: psycopg.Connection[tuple[Any, ...]],
) -> None:
    headers = keys["generate"] | {"Content-Type": "application/json"}
    body = {"brief": KAFFEE, "platform": "baidu_search", "unit_id": "用户一", "deadline_ms": 5000}
    await client.post("/generate", content=slowly(body), headers=headers)
    await app.state.container.serving_log.flush()
    [(latency_ms,)] = database.execute("SELECT latency_ms FROM servings").fetchall()
    assert latency_ms >= SLOW_S * 1000


async def test_openapi_lists_every_reason(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["Reason"]["enum"] == list(Reason)
    assert "model_too_slow" in schemas["Reason"]["enum"]
    assert schemas["GenerateResponse"]["properties"]["fallback_missing"]["type"] == "boolean"


async def test_an_answer_with_a_text_misses_no_fallback(generate: Generate) -> None:
    assert (await generate())["fallback_missing"] is False
