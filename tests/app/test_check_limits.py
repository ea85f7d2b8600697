"""`/check` of long and hostile texts: the answer stays small, and the event loop goes on."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from service import BOOTS, KAFFEE, Generate, a_request

from app.routes import check as route
from app.services.compliance import off_loop
from app.services.serving import candidates, fallback

SHORT = {"title": "Leather Walking Boots", "description": "Resoled in our own workshop. Visit the shop in Keswick."}
HOSTILE = [
    "! " * 400,
    "cures acne. " * 66,
    "治愈痤疮。" * 160,
    "90% off " * 100,
    "第一" * 400,
    "最高の靴" * 200,
    "😀" * 800,
]


@pytest.fixture
async def checked(client: httpx.AsyncClient, bearer: Callable[..., Awaitable[dict[str, str]]]) -> Any:
    client.headers.update(await bearer("review"))

    async def call(texts: list[dict[str, str]], brief: dict[str, Any] = BOOTS) -> httpx.Response:
        return await client.post("/check", json={"brief": brief, "platform": "generic", "texts": texts})

    return call


@pytest.mark.parametrize("line", HOSTILE, ids=[line[:8].strip() for line in HOSTILE])
@pytest.mark.parametrize("brief", [BOOTS, KAFFEE], ids=["English", "Chinese"])
async def test_an_answer_lists_so_many_findings_and_counts_the_rest(checked, brief, line):
    answer = await checked([{"title": line[:400], "description": line, "description_2": line}] * 20, brief)
    assert answer.status_code == 200
    judged = answer.json()["texts"]
    assert not any(text["compliant"] for text in judged)
    assert max(len(text["findings"]) for text in judged) <= route.FINDINGS_OF_A_TEXT
    assert sum(len(text["findings"]) for text in judged) <= route.FINDINGS_OF_ALL
    assert all(text["findings"] or text["more"] for text in judged)
    assert len(answer.content) < 400_000


@pytest.mark.parametrize(("texts", "inline"), [([SHORT], True), ([SHORT] * 50, False)])
async def test_only_short_texts_are_checked_on_the_event_loop(checked, monkeypatch, texts, inline):
    threads = set()
    examine = route.examine
    monkeypatch.setattr(route, "examine", lambda *args: threads.add(threading.current_thread()) or examine(*args))
    await checked(texts)
    assert (threads == {threading.main_thread()}) is inline


@pytest.mark.parametrize("where", ["a landing page", "an approved text"])
async def test_a_long_brief_is_read_beside_the_event_loop(generate: Generate, monkeypatch, where):
    threads = set()

    def observed(check: Any) -> Any:
        return lambda *args: threads.add(threading.current_thread()) or check(*args)

    monkeypatch.setattr(fallback, "check", observed(fallback.check))
    if where == "a landing page":
        monkeypatch.setattr(candidates, "check", observed(candidates.check))
    long = "Leather walking boots resoled in our workshop. "
    if where == "a landing page":
        ad: dict[str, Any] = {"landing_page": (long * 500)[:20_000]}
    else:
        ad = {"approved": [{"title": "Walking Boots", "description": (long * 20)[:800]}] * 8}
    await generate(a_request(ad=ad))
    assert threads and threading.main_thread() not in threads


@pytest.mark.parametrize(("module", "name", "value"), [(off_loop, "MOST_WAITING", 0), (route, "MOST_S", -1.0)])
async def test_what_cannot_be_checked_in_time_is_refused(checked, monkeypatch, module, name, value):
    monkeypatch.setattr(module, name, value)
    answer = await checked([SHORT])
    assert (answer.status_code, answer.json()["rule"], answer.headers["retry-after"]) == (503, "overload", "1")
