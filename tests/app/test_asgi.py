"""The edge of the service: what it lets in, what it adds to every answer, what it says when something fails."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse
from sqlalchemy.exc import OperationalError

from app.core import logs
from app.core import problems as errors
from app.core.settings import Settings
from app.http.middleware import STRANGER_BODY, Edge

SMALL, LARGE = 1024, 8192
STRANGER = {"Authorization": "none"}


@pytest.fixture
def log() -> Any:
    stream = io.StringIO()
    logs.configure("info", stream)
    yield stream
    logs.access.open(None)


@pytest.fixture
def service() -> FastAPI:
    app = FastAPI()
    chosen = Settings(max_body_bytes=SMALL, max_events_body_bytes=LARGE, max_inflight=2)
    app.add_middleware(Edge, settings=chosen, recognises=lambda headers: dict(headers).get(b"authorization") != b"none")
    errors.install(app)
    app.state.go_on = asyncio.Event()

    async def size(request: Request) -> int:
        return len(await request.body())

    async def page() -> HTMLResponse:
        return HTMLResponse("<p>广告</p>")

    async def pixel() -> PlainTextResponse:
        return PlainTextResponse("gif", headers={"Cache-Control": "private, no-store"})

    async def wait() -> str:
        await app.state.go_on.wait()
        return "done"

    async def broken(what: str) -> None:
        raise {
            "bug": ZeroDivisionError("the user typed 机密查询"),
            "database": OperationalError("SELECT 机密查询", {}, Exception("connection refused")),
            "driver": psycopg.InterfaceError("the connection is closed"),
        }[what]

    for path, endpoint in {"/events": size, "/generate": size}.items():
        app.post(path, response_model=None)(endpoint)
    for path, endpoint in {
        "/page": page,
        "/pixel": pixel,
        "/wait": wait,
        "/healthz": wait,
        "/broken/{what}": broken,
    }.items():
        app.get(path, response_model=None)(endpoint)
    return app


@pytest.fixture
async def http(service: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=service), base_url="http://relate.test") as client:
        yield client


async def chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 64):
        yield b"x" * 64


# ---- request ids


@pytest.mark.parametrize("given", ["req-1", "0af7651916cd43dd8448eb211c80319c", 'a"b\\c', "x" * 64])
async def test_a_request_id_is_sent_back(http, given):
    assert (await http.get("/page", headers={"X-Request-Id": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "two words", "编号".encode(), b"a\x00b", b"\xff"])
async def test_without_a_usable_request_id_one_is_made(http, given):
    answer = await http.get("/page", headers={} if given is None else {"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{24}", answer.headers["x-request-id"])


async def test_every_refusal_names_the_request(http):
    refusal = await http.get("/nowhere", headers={"X-Request-Id": "req-7"})
    assert refusal.json()["request_id"] == "req-7"


# ---- bodies


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/generate", SMALL, 200),
        ("/generate", SMALL + 64, 413),
        ("/events", SMALL + 64, 200),
        ("/events", LARGE, 200),
        ("/events", LARGE + 64, 413),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_body_may_be_as_large_as_its_address_takes(http, path, size, status, streamed):
    answer = await http.post(path, content=chunks(size) if streamed else b"x" * size)
    assert answer.status_code == status
    if status == 413:
        assert answer.json()["rule"] == "body_too_large"
        assert answer.headers["content-type"] == errors.MEDIA_TYPE


async def test_a_length_that_is_no_number_is_refused(http):
    answer = await http.post("/generate", content=b"x", headers={"Content-Length": "-1"})
    assert (answer.status_code, answer.json()["rule"]) == (400, "content_length")


# ---- load


async def test_beyond_the_bound_requests_are_told_to_come_back(http, service):
    waiting = [asyncio.create_task(http.get("/wait")) for _ in range(2)]
    await asyncio.sleep(0)
    refusal = await http.get("/page")
    assert (refusal.status_code, refusal.json()["rule"], refusal.headers["retry-after"]) == (503, "overload", "1")
    health = asyncio.create_task(http.get("/healthz"))
    service.state.go_on.set()
    assert [(await task).status_code for task in (*waiting, health)] == [200, 200, 200]
    assert (await http.get("/page")).status_code == 200


@pytest.mark.parametrize(
    ("size", "streamed", "status"),
    [(64, False, 200), (STRANGER_BODY, False, 200), (STRANGER_BODY + 64, False, 401), (64, True, 401)],
)
async def test_of_a_caller_without_a_key_no_more_than_a_form_is_read(http, service, size, streamed, status):
    content = chunks(size) if streamed else b"x" * size
    answer = await http.post("/events", content=content, headers=STRANGER)
    assert answer.status_code == status
    if status == 401:
        assert (answer.json()["rule"], answer.headers["www-authenticate"]) == (
            "unauthenticated",
            'Bearer realm="relate"',
        )


async def test_strangers_take_no_place_of_callers_with_a_key(http, service):
    waiting = [asyncio.create_task(http.get("/wait", headers=STRANGER)) for _ in range(2)]
    await asyncio.sleep(0)
    assert (await http.get("/page", headers=STRANGER)).status_code == 503
    assert (await http.get("/page")).status_code == 200
    service.state.go_on.set()
    assert [(await task).status_code for task in waiting] == [200, 200]


# ---- headers


async def test_pages_run_no_script_but_ours(http):
    headers = (await http.get("/page")).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe-eval" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("path", "policy"), [("/nowhere", "no-store"), ("/pixel", "private, no-store")])
async def test_no_answer_is_cached_across_units(http, path, policy):
    headers = (await http.get(path)).headers
    assert headers.get_list("cache-control") == [policy]
    assert headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in headers


# ---- failures


async def test_a_fault_of_ours_is_a_problem_with_the_request_id_and_nothing_of_the_request(http, log):
    answer = await http.get("/broken/bug", headers={"X-Request-Id": "req-9"})
    assert (answer.status_code, answer.json()["rule"], answer.json()["request_id"]) == (500, "internal_error", "req-9")
    assert "机密" not in answer.text
    line = json.loads(log.getvalue().splitlines()[0])
    assert (line["level"], line["request_id"], line["exception"][0]) == ("error", "req-9", "builtins.ZeroDivisionError")
    assert any("in broken" in place or place.endswith(" broken") for place in line["exception"])
    assert "机密" not in log.getvalue()


@pytest.mark.parametrize("what", ["database", "driver"])
async def test_with_the_database_away_the_answer_is_to_try_again(http, log, what):
    answer = await http.get(f"/broken/{what}")
    assert (answer.status_code, answer.json()["rule"], answer.headers["retry-after"]) == (
        503,
        "database_unavailable",
        "1",
    )
    assert "机密" not in answer.text + log.getvalue()


# ---- what is logged


async def test_an_access_line_names_the_route_and_not_the_address(http, log):
    await http.get("/broken/bug?query=机密查询")
    await http.get("/nowhere/u-4711")
    logs.access.flush()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    access = [line for line in lines if line["logger"] == "app.access"]
    assert [(line["method"], line["route"], line["status"]) for line in access] == [
        ("GET", "/broken/{what}", 500),
        ("GET", "unmatched", 404),
    ]
    assert all(line["ms"] > 0 and line["request_id"] for line in access)
    assert "机密" not in log.getvalue()
    assert "u-4711" not in log.getvalue()
