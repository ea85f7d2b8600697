"""The texts page: what is served, what came of it, and the buttons that withdraw and restore it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from service import KAFFEE, Generate, a_request

PAGE = "/pages/texts"


@pytest.fixture
def sign_in(app: FastAPI, bearer: Any) -> Any:
    async def come(*scopes: str, **more: Any) -> httpx.AsyncClient:
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://relate.test")
        key = (await bearer(*scopes, **more))["Authorization"].removeprefix("Bearer ")
        await http.post("/signin", data={"key": key, "csrf": csrf_of((await http.get("/signin")).text)})
        return http

    return come


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found
    return found[1]


async def words(http: httpx.AsyncClient, path: str) -> str:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


async def test_what_is_served_is_shown_by_advertiser_and_query_with_what_came_of_it(
    generate: Generate, app: FastAPI, sign_in: Any, database: psycopg.Connection[Any]
) -> None:
    english = (await generate(n=2))["texts"]
    await generate({"brief": KAFFEE, "platform": "baidu_search", "unit_id": "用户一", "deadline_ms": 5000})
    await app.state.container.serving_log.flush()
    database.execute(
        "INSERT INTO exposures (serve_id, unit, text_id, policy_id, source, impression_at, clicked, converted, "
        "view_through, repeated_order, shifted, invalid, events, reused_ids, unmatched_corrections) "
        "SELECT gen_random_uuid(), '\\x01', %s, 1, 1, now(), number <= 10, number <= 2, false, false, false, "
        "number > 40, 1, 0, 0 FROM generate_series(1, 50) number",
        (english[0]["text_id"],),
    )
    http = await sign_in("report")
    page = await words(http, PAGE)
    assert english[0]["title"].replace("&", "&amp;") in page and "山间咖啡" in page and "walking boots" in page
    assert "40 25.0 % 5.00 %" in page  # impressions that count, CTR, CTCVR
    assert "Withdraw…" not in page  # an analyst reads
    assert "walking boots" not in await words(http, f"{PAGE}?advertiser=山间咖啡")
    assert "山间咖啡" not in await words(http, f"{PAGE}?query=Walking")
    await http.aclose()


async def test_a_text_and_an_advertiser_are_withdrawn_and_restored_with_a_reason(
    generate: Generate, app: FastAPI, sign_in: Any
) -> None:
    body = a_request()
    text = (await generate(body))["texts"][0]
    await app.state.container.serving_log.flush()
    http = await sign_in("ops")
    for kind, subject in (("text", text["text_id"]), ("advertiser", "Fell & Moor"), ("policy", text["policy"])):
        form = await http.get(f"{PAGE}/withdraw", params={"kind": kind, "subject": subject})
        fields = {"csrf": csrf_of(form.text), "kind": kind, "subject": subject}
        assert (await http.post(f"{PAGE}/withdraw", data=fields | {"reason": "  "})).status_code == 422
        assert (await http.post(f"{PAGE}/withdraw", data=fields | {"csrf": "", "reason": "why"})).status_code == 403
        assert (await http.post(f"{PAGE}/withdraw", data=fields | {"reason": "苦情"})).status_code == 303
        answer = await generate(body)
        assert text["text_id"] not in {shown["text_id"] for shown in answer["texts"]}
        page = (await http.get(PAGE)).text
        number = re.search(r'name="withdrawal_id" value="(\d+)"', page)
        assert number and "苦情" in page
        restored = {"csrf": csrf_of(page), "withdrawal_id": number[1]}
        assert (await http.post(f"{PAGE}/restore", data=restored)).status_code == 303
        assert (await generate(body))["texts"][0]["source"] == "pool"
    await http.aclose()


async def test_a_reviewer_of_one_advertiser_sees_and_withdraws_its_texts_only(
    generate: Generate, app: FastAPI, sign_in: Any
) -> None:
    text = (await generate())["texts"][0]
    await app.state.container.serving_log.flush()
    http = await sign_in("review", advertiser="山间咖啡")
    assert "Fell" not in await words(http, f"{PAGE}?advertiser=Fell %26 Moor")
    ask = {"kind": "text", "subject": text["text_id"]}
    assert (await http.get(f"{PAGE}/withdraw", params=ask)).status_code == 404
    assert (await http.get("/pages/experiments")).status_code == 403
    assert (await http.get("/review")).headers["location"] == "/pages/review"
    await http.aclose()
