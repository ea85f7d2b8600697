"""The review page and its API: what waits comes one text at a time, and a decision is checked, kept, and taken back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest
from fakes import FakePolicyServer
from fastapi import FastAPI
from service import Generate, a_request

from app.services.compliance.revalidation import Revalidation

Database = psycopg.Connection[Any]
PAGE = "/pages/review"


@pytest.fixture
async def desk(app: FastAPI, bearer: Any) -> AsyncIterator[Callable[..., Awaitable[httpx.AsyncClient]]]:
    """`await desk()`: another reviewer, signed in to the pages, who may also use the API."""
    clients = []

    async def come(**more: Any) -> httpx.AsyncClient:
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://relate.test")
        clients.append(http)
        key = (await bearer("review", **more))["Authorization"].removeprefix("Bearer ")
        form = (await http.get("/signin")).text
        answer = await http.post("/signin", data={"key": key, "csrf": csrf_of(form)})
        assert answer.headers["location"] == PAGE
        return http

    yield come
    for http in clients:
        await http.aclose()


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found
    return found[1]


async def post(http: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Send a form of the review page."""
    page = (await http.get("/signin")).text  # any page holds the token, and this one opens no text
    return await http.post(path, data={"csrf": csrf_of(page), **fields})


def open_text(page: str) -> str:
    """The id of the text that a page has open; empty where none is."""
    found = re.search(rf'action="{PAGE}/([0-9a-f-]{{36}})/approve', page)
    return found[1] if found else ""


@pytest.fixture
def waiting(generate: Generate, database: Database) -> Callable[..., Awaitable[list[str]]]:
    """`await waiting(3)`: texts of the policy, put into review."""

    async def make(number: int, **over: Any) -> list[str]:
        texts = (await generate(a_request(n=number, **over)))["texts"]
        ids = [text["text_id"] for text in texts]
        assert len(ids) == number
        database.execute(
            "UPDATE texts SET state = 'review', held_for = '[\"judge_unsure\"]', created_at = now() WHERE id = ANY(%s)",
            (ids,),
        )
        return ids

    return make


def state(database: Database, text_id: str) -> str:
    row = database.execute("SELECT state FROM texts WHERE id = %s", (text_id,)).fetchone()
    assert row
    return str(row[0])


async def test_a_reviewer_decides_with_reasons_and_takes_a_decision_back(
    desk: Any, waiting: Any, database: Database
) -> None:
    await waiting(3)
    http = await desk()
    page = (await http.get(PAGE)).text
    first = open_text(page)
    assert "the judge is unsure" in page and "Brief" in page
    assert (await post(http, f"{PAGE}/{first}/approve")).headers["location"] == PAGE
    assert state(database, first) == "approved"
    second = open_text((await http.get(PAGE)).text)
    assert second != first
    assert (await post(http, f"{PAGE}/{second}/reject")).status_code == 422  # a rejection needs its reason
    assert (await post(http, f"{PAGE}/{second}/reject", reason="false", note="価格が違う")).status_code == 303
    assert state(database, second) == "rejected"
    assert (await post(http, f"{PAGE}/undo")).headers["location"] == f"{PAGE}?text={second}"
    assert state(database, second) == "review"
    assert open_text((await http.get(f"{PAGE}?text={second}")).text) == second
    audit = database.execute("SELECT action FROM audit_log WHERE action LIKE 'text.%' ORDER BY id").fetchall()
    assert [action for (action,) in audit] == ["text.approve", "text.reject", "text.undo"]


async def test_an_edit_is_checked_again_and_becomes_a_text_of_its_own(
    desk: Any, waiting: Any, database: Database, client: httpx.AsyncClient, keys: Any
) -> None:
    (text,) = await waiting(1)
    http = await desk()
    await http.get(PAGE)
    sent = {"title": "Boots 90% Off", "description": "Leather walking boots, resoled in our workshop."}
    refused = await post(http, f"{PAGE}/{text}/edit", **sent)
    assert refused.status_code == 409
    assert '<mark class="block">90%' in refused.text.replace("&#37;", "%")
    assert state(database, text) == "review"
    kept = await post(http, f"{PAGE}/{text}/edit", **(sent | {"title": "Leather Walking Boots"}))
    assert kept.status_code == 303, kept.text
    assert state(database, text) == "rejected"
    row = database.execute("SELECT id, state FROM texts WHERE edited_from = %s", (text,)).fetchone()
    assert row and row[1] == "approved"
    provenance = (await client.get(f"/texts/{row[0]}/provenance", headers=keys["review"])).json()
    assert (provenance["title"], provenance["edited_from"]) == ("Leather Walking Boots", text)
    assert (await post(http, f"{PAGE}/undo")).status_code == 303
    assert (state(database, text), state(database, str(row[0]))) == ("review", "rejected")


async def test_an_open_text_is_locked_until_its_time_is_over(
    desk: Any, waiting: Any, database: Database, bearer: Any, client: httpx.AsyncClient
) -> None:
    (text,) = await waiting(1)
    first, second = await desk(), await desk()
    assert open_text((await first.get(PAGE)).text) == text
    assert open_text((await second.get(PAGE)).text) == ""
    assert (await second.get(f"{PAGE}?text={text}")).status_code == 409
    assert (await post(second, f"{PAGE}/{text}/approve")).status_code == 409
    api = await client.post(f"/texts/{text}/review", json={"decision": "approve"}, headers=await bearer("review"))
    assert (api.status_code, api.json()["rule"]) == (409, "locked")
    database.execute("UPDATE review_locks SET expires_at = now()")
    assert open_text((await second.get(PAGE)).text) == text
    assert (await post(first, f"{PAGE}/{text}/approve")).status_code == 409


async def test_the_queue_is_filtered_by_language_product_class_and_advertiser(
    desk: Any, waiting: Any, database: Database, bearer: Any, client: httpx.AsyncClient
) -> None:
    english, chinese, japanese = await waiting(3)
    for text, locale, products, advertiser in (
        (chinese, "zh-CN", '["health_food"]', "山间咖啡"),
        (japanese, "ja-JP", '["cosmetics", "drug"]', "山路靴店"),
    ):
        database.execute(
            "UPDATE texts SET locale = %s, products = %s, advertiser = %s WHERE id = %s",
            (locale, products, advertiser, text),
        )

    async def ids(headers: dict[str, str], **filters: str) -> set[str]:
        answer = await client.get("/review/queue", params=filters, headers=headers)
        return {found["id"] for found in answer.json()["texts"]}

    everyone, of_one = await bearer("review"), await bearer("review", advertiser="山路靴店")
    assert await ids(everyone) == {english, chinese, japanese}
    assert await ids(everyone, language="zh") == {chinese}
    assert await ids(everyone, product="drug") == {japanese}
    assert await ids(everyone, product="drug", language="zh") == set()
    assert await ids(of_one) == {japanese}
    http = await desk()
    assert open_text((await http.get(f"{PAGE}?language=zh&product=health_food")).text) == chinese
    after = await post(http, f"{PAGE}/{chinese}/approve?language=zh&product=")
    assert after.headers["location"] == f"{PAGE}?language=zh"


@pytest.mark.parametrize("agrees", [True, False])
async def test_a_sampled_decision_gets_a_second_opinion_from_somebody_else(
    desk: Any, waiting: Any, database: Database, app: FastAPI, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    container = app.state.container
    changed = container.settings.model_copy(update={"second_opinion_share": 1.0})
    monkeypatch.setitem(container.__dict__, "settings", changed)
    (text,) = await waiting(1)
    first, second = await desk(), await desk()
    await first.get(PAGE)
    await post(first, f"{PAGE}/{text}/approve")
    assert open_text((await first.get(PAGE)).text) == ""  # nobody gives the second opinion on their own decision
    page = (await second.get(PAGE)).text
    assert open_text(page) == text and "Second opinion" in page
    verdict = ("approve", {}) if agrees else ("reject", {"reason": "clumsy"})
    await post(second, f"{PAGE}/{text}/{verdict[0]}", **verdict[1])
    assert state(database, text) == ("approved" if agrees else "rejected")
    rows = database.execute("SELECT overturned, wants_second FROM review_decisions ORDER BY id").fetchall()
    assert rows == [(not agrees, False), (False, False)]
    statistics = (await second.get("/review/statistics")).json()
    assert [(row["seconds"], row["overturned"]) for row in statistics["reviewers"]] == [(1, int(not agrees))]


async def test_statistics_name_the_time_to_decision_and_the_overruled_rules(
    desk: Any, waiting: Any, database: Database
) -> None:
    texts = await waiting(2)
    finding = {"rule": "superlative", "field": "title", "span": [0, 4], "quote": "Boot", "severity": "review"}
    held = json.dumps([finding | {"reason": "stands for a superlative", "source": "PRC Advertising Law art. 9"}])
    database.execute("UPDATE texts SET findings = %s, held_for = '[\"finding\"]'", (held,))
    http = await desk()
    await http.get(PAGE)
    database.execute("UPDATE review_locks SET opened_at = now() - interval '40 seconds'")
    opened = open_text((await http.get(PAGE)).text)
    await post(http, f"{PAGE}/{opened}/approve")
    (other,) = set(texts) - {opened}
    page = (await http.get(PAGE)).text
    assert '<mark class="review">' in page and "PRC Advertising Law art. 9" in page
    await post(http, f"{PAGE}/{other}/reject", reason="rule")
    database.execute(
        "UPDATE review_decisions SET opened_at = decided_at - interval '20 seconds' WHERE text_id = %s", (other,)
    )
    answer = (await http.get("/review/statistics")).json()
    assert (round(answer["p50_s"]), answer["waiting"], answer["decided"]) == (30, 0, 2)
    assert answer["rules"] == [{"rule": "superlative", "decided": 2, "overruled": 1}]


async def test_decisions_are_exported_as_examples_for_a_judge(desk: Any, waiting: Any) -> None:
    texts = await waiting(3)
    http = await desk()
    for text, verb, fields in zip(
        texts, ("approve", "reject", "reject"), ({}, {"reason": "mangled"}, {"reason": "false"}), strict=True
    ):
        await http.get(f"{PAGE}?text={text}")
        await post(http, f"{PAGE}/{text}/{verb}", **fields)
    await post(http, f"{PAGE}/undo")
    answer = await http.get("/review/decisions")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [(line["text_id"], line["verdict"]) for line in lines] == [(texts[0], "good"), (texts[1], "mangled")]
    assert lines[0]["brief"]["ad"]["advertiser"] == "Fell & Moor" and lines[0]["title"]


async def test_an_approved_text_with_a_review_finding_waits_for_a_reviewer_and_is_served_then(
    generate: Generate, upstream: FakePolicyServer, database: Database, desk: Any, app: FastAPI
) -> None:
    upstream.status = 500
    approved = {
        "title": "{KeyWord:Walking Boots}",
        "description": "Leather boots, resoled in our own workshop in Keswick.",
    }
    body = a_request(ad={"approved": [approved]})
    answer = await generate(body)
    assert [text["source"] for text in answer["texts"]] == ["template"]
    row = database.execute("SELECT state, held_for, findings FROM texts WHERE origin = 'advertiser'").fetchone()
    assert row and row[:2] == ("review", ["finding"]), row
    http = await desk()
    page = (await http.get(PAGE)).text
    assert "Sent by the advertiser" in page and "/edit" not in page
    assert (await post(http, f"{PAGE}/{open_text(page)}/approve")).status_code == 303
    while (answer := await generate(body))["texts"][0]["source"] != "advertiser":
        await asyncio.sleep(0.05)  # until the announcement has reached this replica
    assert answer["texts"][0]["title"] == approved["title"]
    recheck = Revalidation(app.state.container.database, app.state.container.state)
    for reviewer, after in (("reviewed_by", "approved"), ("NULL", "review")):
        database.execute(f"UPDATE texts SET rules_version = 'earlier', reviewed_by = {reviewer}")
        await recheck.step()
        row = database.execute("SELECT state FROM texts WHERE origin = 'advertiser'").fetchone()
        assert row == (after,)  # a reviewer's word on a finding outlives a change of other rules


async def test_a_form_without_its_token_changes_nothing(desk: Any, waiting: Any, database: Database) -> None:
    (text,) = await waiting(1)
    http = await desk()
    for path in (f"{PAGE}/{text}/approve", f"{PAGE}/{text}/reject", f"{PAGE}/{text}/edit", f"{PAGE}/undo"):
        fields = {"reason": "false", "title": "x", "description": "y"}
        assert (await http.post(path, data=fields)).status_code == 403
    assert state(database, text) == "review"
