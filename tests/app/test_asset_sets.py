"""POST /assets: the source of each line, what an asset set never contains, and the file for Google Ads Editor."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes import FakePolicyServer
from fastapi import FastAPI
from service import GOOD, KAFFEE, Database, Generate, a_request, policy

from adtext.brief import AdBrief, AdText
from adtext.checks import check, is_clean
from adtext.judge import Judgement, Pair, Thresholds
from adtext.rules import load_rules
from adtext.spec import load_spec
from app.core.ads_editor import COLUMNS

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
Ask = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def ask(client: httpx.AsyncClient, keys: Any) -> Ask:
    """POST /assets for the brief of a `/generate` body."""

    async def call(request: dict[str, Any], status: int = 200, **over: Any) -> dict[str, Any]:
        body = {"brief": request["brief"], "platform": request["platform"], "deadline_ms": 5000} | over
        answer = await client.post("/assets", json=body, headers=keys["generate"])
        assert answer.status_code == status, answer.text
        parsed: dict[str, Any] = answer.json()
        return parsed

    return call


def lines(answer: dict[str, Any], kind: str, *sources: str) -> list[str]:
    return [asset["text"] for asset in answer[kind]["assets"] if not sources or asset["source"] in sources]


def left_out(answer: dict[str, Any], why: str) -> int:
    return sum(answer[kind]["left_out"].get(why, 0) for kind in ("headlines", "descriptions"))


async def test_a_set_holds_lines_of_pool_and_templates_and_every_combination_passes(
    generate: Generate, ask: Ask
) -> None:
    request = a_request(n=4)
    await generate(request)
    answer = await ask(request)
    assert answer["usable"] and answer["headlines"]["wanted"] == 15 and answer["descriptions"]["wanted"] == 4
    assert {asset["source"] for asset in answer["headlines"]["assets"]} == {"pool", "template"}
    assert answer["headlines"]["found"] == len(answer["headlines"]["assets"]) >= 5
    assert answer["headlines"]["left_out"]["repeats"] > 0 and answer["reason"] == "no_compliant_text"
    brief, spec, rules = AdBrief.model_validate(request["brief"]), load_spec("google_rsa"), load_rules()
    for title, description in product(lines(answer, "headlines"), lines(answer, "descriptions")):
        assert is_clean(check(AdText(title=title, description=description), brief, spec, rules))


async def test_a_thin_pool_is_filled_by_a_bounded_number_of_calls(ask: Ask, upstream: FakePolicyServer) -> None:
    calls = [GOOD[:1], GOOD[1:2], GOOD[2:3], GOOD[3:4]]
    upstream.answer = lambda body: calls[len(upstream.bodies) - 1]
    answer = await ask(a_request())
    assert len(upstream.bodies) == 3 and {body["n"] for body in upstream.bodies} == {10}
    assert len(lines(answer, "headlines", "fresh")) == 2  # the third holds nothing but words of the first two
    assert answer["reason"] is None


async def test_a_policy_that_does_not_answer_leaves_the_advertisers_own_and_templates(
    ask: Ask, upstream: FakePolicyServer
) -> None:
    upstream.status = 500
    answer = await ask(a_request())
    assert answer["reason"] == "policy_unavailable" and answer["usable"]
    assert {asset["source"] for asset in answer["headlines"]["assets"]} == {"advertiser", "template"}
    assert all(asset["text_id"] is None for asset in answer["headlines"]["assets"])


async def test_no_line_of_a_withdrawn_text_appears_in_other_company(
    generate: Generate, ask: Ask, client: httpx.AsyncClient, keys: Any, app: FastAPI
) -> None:
    request = a_request(n=4)
    texts = (await generate(request))["texts"]
    shown = await ask(request)
    taken = next(text for text in texts if text["title"] in lines(shown, "headlines"))
    withdrawal = {"kind": "text", "subject": taken["text_id"], "reason": "投诉"}
    assert (await client.post("/withdrawals", json=withdrawal, headers=keys["ops"])).status_code == 201
    await app.state.container.state.refresh()
    answer = await ask(request)
    everything = [*lines(answer, "headlines"), *lines(answer, "descriptions")]
    assert taken["title"] not in everything and taken["description"] not in everything and answer["usable"]
    body = {"kind": "policy", "subject": texts[0]["policy"], "reason": "wrong prices"}
    assert (await client.post("/withdrawals", json=body, headers=keys["ops"])).status_code == 201
    await app.state.container.state.refresh()
    answer = await ask(request)
    assert answer["reason"] == "withdrawn" and not lines(answer, "headlines", "pool", "fresh")
    body = {"kind": "advertiser", "subject": "fell & moor", "reason": "contract ended"}
    assert (await client.post("/withdrawals", json=body, headers=keys["ops"])).status_code == 201
    await app.state.container.state.refresh()
    answer = await ask(request)
    assert (answer["headlines"]["found"], answer["usable"], answer["reason"]) == (0, False, "withdrawn")


async def test_a_combination_that_a_reviewer_rejected_is_not_offered(
    generate: Generate, ask: Ask, database: Database
) -> None:
    request = a_request(n=2)
    await generate(request)
    before = await ask(request)
    title, description = lines(before, "headlines", "pool")[0], lines(before, "descriptions", "pool")[0]
    database.execute(
        "INSERT INTO texts SELECT (jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid(), 'state', "
        "'rejected', 'title', %s::text, 'description', %s::text))).* FROM texts t WHERE origin = 'model' LIMIT 1",
        (title, description),
    )
    after = await ask(request)
    assert not (title in lines(after, "headlines") and description in lines(after, "descriptions"))
    assert left_out(after, "judge") == 1


class Doubting:
    """A judge that passes texts as they were written, and no combination of two."""

    version, thresholds = "doubting", Thresholds(serve=0.5, review=0.1)

    def __init__(self, written: Sequence[str]) -> None:
        self._written = written

    def covers(self, language: str) -> bool:
        return language == "en"

    async def judge(self, pairs: Sequence[Pair]) -> list[Judgement]:
        whole = [f"Title: {text.title}\nDescription: {text.description}" for _, text in pairs]
        return [Judgement(1.0 if text in self._written else 0.2, 1.0) for text in whole]

    async def close(self) -> None:
        return None


async def test_combinations_of_the_policys_lines_are_judged_and_those_of_approved_parts_are_not(
    generate: Generate, ask: Ask, app: FastAPI
) -> None:
    app.state.container.asset_sets._judging._judge = Doubting(GOOD)
    request = a_request(n=4)
    await generate(request)
    answer = await ask(request)
    titles, descriptions = lines(answer, "headlines", "pool"), lines(answer, "descriptions", "pool")
    shown = {f"Title: {title}\nDescription: {text}" for title, text in product(titles, descriptions)}
    assert titles and shown <= set(GOOD) and left_out(answer, "judge") >= 1
    assert lines(answer, "descriptions", "advertiser", "template")


async def test_regulated_classes_get_only_what_a_person_approved(
    ask: Ask, upstream: FakePolicyServer, generate: Generate, database: Database
) -> None:
    request = a_request(ad={"industry": "health"}, n=2)
    await generate(request)
    while not database.execute("SELECT 1 FROM texts WHERE state = 'review'").fetchone():
        await asyncio.sleep(0.05)  # until the refill behind the answer is committed
    asked = len(upstream.bodies)
    answer = await ask(request)
    assert {asset["source"] for asset in answer["headlines"]["assets"]} == {"advertiser"}
    assert (answer["reason"], answer["usable"], len(upstream.bodies)) == ("review_required", False, asked)
    database.execute("UPDATE texts SET state = 'approved' WHERE state = 'review'")
    assert lines(await ask(request), "headlines", "pool")


@pytest.mark.parametrize(
    ("platform", "status", "said"),
    [
        ("baidu_search", 422, "baidu_search shows whole ads and combines no assets: send google_rsa"),
        ("google_rsa", 200, ""),
    ],
)
async def test_a_chinese_ad_is_refused_for_a_platform_without_assets_and_made_for_one_with_them(
    ask: Ask, platform: str, status: int, said: str
) -> None:
    answer = await ask({"brief": KAFFEE, "platform": platform}, status)
    if status == 422:
        assert said in answer["detail"] and answer["errors"][0]["field"] == "platform"
        return
    assert answer["reason"] == "policy_does_not_write_locale"
    assert "山间咖啡 云南小粒咖啡豆" in lines(answer, "headlines")
    assert all(sum(2 if char > "\x7f" else 1 for char in text) <= 30 for text in lines(answer, "headlines"))


async def test_only_a_key_that_may_generate_for_the_advertiser_gets_assets(
    client: httpx.AsyncClient, keys: Any, bearer: Any
) -> None:
    body = {"brief": a_request()["brief"], "deadline_ms": 5000}
    for scope in ("events", "report", "review", "ops"):
        assert (await client.post("/assets", json=body, headers=keys[scope])).status_code == 403
    other = await bearer("generate", advertiser="另一家")
    answer = await client.post("/assets", json=body, headers=other)
    assert (answer.status_code, answer.json()["rule"]) == (403, "other_advertiser")
    answer = await client.post("/assets", json=body | {"n": 3}, headers=keys["generate"])
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "n"


async def test_the_file_has_the_columns_of_google_ads_editor(
    generate: Generate, client: httpx.AsyncClient, keys: Any
) -> None:
    request = a_request(n=4)
    await generate(request)
    place = {"final_url": "https://fellandmoor.example/boots?a=1", "campaign": "Boots, UK", "path_1": "靴"}
    body = {"brief": request["brief"], "deadline_ms": 5000} | place
    answer = await client.post("/assets.csv", json=body, headers=keys["generate"])
    assert answer.headers["content-type"].startswith("text/csv"), answer.text
    header, row = csv.reader(io.StringIO(answer.text))
    assert tuple(header) == COLUMNS
    assert header[:4] == ["Campaign", "Ad Group", "Ad type", "Headline 1"] and "Headline 15" in header
    cells = dict(zip(header, row, strict=True))
    assert cells["Campaign"] == "Boots, UK" and cells["Ad Group"] == request["brief"]["ad"]["id"]
    assert cells["Final URL"] == place["final_url"] and cells["Path 1"] == "靴" and cells["Headline 15"] == ""
    assert cells["Headline 1"] and cells["Description 2"]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"final_url": "fellandmoor.example"}, "final_url"),
        ({"final_url": "javascript:alert(1)"}, "final_url"),
        ({"path_1": "walking boots"}, "path_1"),
        ({"path_1": "ハイキングの靴とブーツ"}, "path_1"),
        ({"path_2": "boots"}, "path_1"),
    ],
)
async def test_a_place_that_google_ads_refuses_is_refused_first(
    client: httpx.AsyncClient, keys: Any, sent: dict[str, str], field: str
) -> None:
    body = {"brief": a_request()["brief"], "final_url": "https://a.example"} | sent
    answer = await client.post("/assets.csv", json=body, headers=keys["generate"])
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == field


async def test_an_ad_with_too_few_assets_is_no_file(
    client: httpx.AsyncClient, keys: Any, upstream: FakePolicyServer, database: Database
) -> None:
    upstream.status = 500
    database.execute("DELETE FROM texts")
    brief = a_request(ad={"selling_points": [], "approved": [], "business": ""})["brief"] | {"bidwords": []}
    body = {"brief": brief, "final_url": "https://a.example", "deadline_ms": 1000}
    answer = await client.post("/assets.csv", json=body, headers=keys["generate"])
    assert (answer.status_code, answer.json()["rule"]) == (409, "too_few_assets")
    assert policy(database, "nlg")


async def test_the_example_of_the_handbook_is_answered(client: httpx.AsyncClient, keys: Any) -> None:
    section = DOCS.read_text(encoding="utf-8").partition("### `POST /assets`")[2]
    example = re.search(r"```json\n(.*?)```", section, re.S)
    assert example
    answer = await client.post("/assets.csv", json=json.loads(example[1]), headers=keys["generate"])
    assert answer.status_code == 200, answer.text
    shown = re.search(r"```csv\n(.*?)```", section, re.S)
    assert shown and tuple(next(csv.reader(io.StringIO(shown[1])))) == COLUMNS
