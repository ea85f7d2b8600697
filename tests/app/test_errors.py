"""Refusals: every one a problem document that names the field, the value, the rule and the way out."""

from __future__ import annotations

import pytest

from app.core.problems import MEDIA_TYPE

MEMBERS = {"type", "title", "status", "detail", "rule", "request_id", "errors"}


@pytest.fixture
async def admin(client, bearer):
    client.headers.update(await bearer("admin"))
    return client


def assert_problem(answer, status: int) -> None:
    document = answer.json()
    assert (answer.status_code, document["status"]) == (status, status)
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert set(document) == MEMBERS
    assert document["detail"]
    assert document["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "rule"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/广告", 404, "not_found"),
        ("PUT", "/keys", 405, "method_not_allowed"),
        ("GET", "/texts/not-a-uuid/provenance", 422, "invalid_request"),
        ("GET", "/texts/00000000-0000-0000-0000-000000000000/provenance", 404, "unknown_text"),
        ("GET", "/keys?limit=0", 422, "invalid_request"),
        ("GET", "/keys?after=x", 422, "invalid_request"),
        ("DELETE", "/units/" + "u" * 129, 422, "invalid_request"),
        ("DELETE", "/units/", 422, "invalid_request"),
    ],
)
async def test_a_refusal_is_a_problem_document_by_name(refusing, method, path, status, rule):
    answer = await refusing("admin").request(method, path)
    assert_problem(answer, status)
    assert answer.json()["rule"] == rule


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b'{"name": NaN}', "application/json"),
        (b'"a string"', "application/json"),
        (b"name=x", "application/x-www-form-urlencoded"),
        (b'{"name": "x", "scopes": ["ops"]}', "text/plain"),
        (b"[" * 100_000, "application/json"),
        (b'{"\\ud800": 1}', "application/json"),
        (b'{"name": "\\ud800", "scopes": ["ops"]}', "application/json"),
        (b'{"name": "\\u0000", "scopes": ["ops"]}', "application/json"),
        (b'{"name": 1' + b"0" * 5000 + b"}", "application/json"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_whatever_it_is(refusing, content, kind):
    answer = await refusing("admin").post("/keys", content=content, headers={"Content-Type": kind})
    assert answer.status_code in (400, 415, 422)
    assert_problem(answer, answer.status_code)


async def test_a_refused_field_is_named_by_its_path_with_its_value_shortened(admin):
    brief = {"query": "跑鞋", "locale": "xx-XX", "ad": {"id": "a 1", "advertiser": "", "landing_page": "x" * 20_001}}
    answer = await admin.post("/check", json={"brief": brief, "platform": "myspace", "texts": []})
    assert_problem(answer, 422)
    refused = {problem["field"]: problem for problem in answer.json()["errors"]}
    assert set(refused) == {
        "brief.locale",
        "brief.ad.id",
        "brief.ad.advertiser",
        "brief.ad.landing_page",
        "platform",
        "texts",
    }
    assert refused["brief.locale"]["value"] == "xx-XX"
    assert "en-US" in refused["brief.locale"]["detail"]
    assert refused["brief.ad.landing_page"]["value"] == "x" * 79 + "…"


@pytest.mark.parametrize("depth", [50, 900])
@pytest.mark.parametrize("around", [("[", "]"), ('{"词":', "}")])
async def test_a_value_of_any_depth_is_refused_in_a_few_words(refusing, depth, around):
    value = around[0] * depth + "1" + around[1] * depth
    content = f'{{"brief": {value}, "platform": {value}, "texts": {value}}}'.encode()
    answer = await refusing("admin").post("/check", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert_problem(answer, answer.status_code)
    assert len(answer.content) < 2_000


async def test_many_faults_are_not_all_repeated(admin):
    answer = await admin.post("/check", json={"brief": {}, "platform": "generic", "texts": [{} for _ in range(50)]})
    assert_problem(answer, 422)
    assert len(answer.json()["errors"]) == 20
