"""The rules page without a browser: it works without a script, and refuses in words."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI

PAGE = "/pages/rules"


@pytest.fixture
async def operator(app: FastAPI, bearer: Callable[..., Awaitable[dict[str, str]]]) -> AsyncIterator[httpx.AsyncClient]:
    """Someone signed in who may operate."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://relate.test") as http:
        key = (await bearer("ops", "report"))["Authorization"].removeprefix("Bearer ")
        csrf = csrf_of(await http.get("/signin"))
        assert (await http.post("/signin", data={"key": key, "csrf": csrf})).status_code == 303
        yield http


def csrf_of(answer: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', answer.text)
    assert found
    return found[1]


async def test_a_text_is_tried_a_rule_switched_and_an_advertiser_ruled(operator: httpx.AsyncClient) -> None:
    page = await operator.get(PAGE, params={"q": "最佳"})
    assert page.status_code == 200 and "prc_advertising_law.toml" in page.text and "优质" in page.text
    csrf = csrf_of(page)
    tried = {"csrf": csrf, "title": "全国最佳跑鞋", "description": "宽楦设计", "locale": "zh-CN", "platform": "generic"}
    whole = await operator.post(f"{PAGE}/try", data=tried)
    part = await operator.post(f"{PAGE}/try", data=tried, headers={"X-Part": "tried"})
    assert '<mark class="block">' in whole.text and "<h1>" in whole.text
    assert '<mark class="block">' in part.text and "<h1>" not in part.text
    form = {"csrf": csrf, "rule": "absolute_claim", "switch": "off", "reason": "a test of the page"}
    assert (await operator.post(f"{PAGE}/switch", data=form)).status_code == 303
    assert "absolute" not in (await operator.post(f"{PAGE}/try", data=tried, headers={"X-Part": "tried"})).text
    own = {
        "csrf": csrf,
        "advertiser": "青禾",
        "excluded_terms": "便宜\n格安",
        "restrictions": "never compare: price | beats",
        "evidence": "EV-1: 最舒适",
    }
    assert (await operator.post(f"{PAGE}/advertiser", data=own)).status_code == 303
    shown = (await operator.get(PAGE, params={"advertiser": "青禾"})).text
    assert "Version 1 is in force" in shown and "never compare: price | beats" in shown
    refused = await operator.post(f"{PAGE}/advertiser", data=own | {"excluded_terms": "青禾"})
    assert refused.status_code == 422 and "excluded_terms.0" in refused.text


async def test_a_form_without_its_token_changes_nothing(operator: httpx.AsyncClient) -> None:
    form = {"rule": "absolute_claim", "switch": "off", "reason": "no token"}
    assert (await operator.post(f"{PAGE}/switch", data=form)).status_code == 403
