"""What is refused is named: the very field, in words, as a page where a browser asks, and never with a 500."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from fakes import FakePolicyServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service import GOOD, a_request
from test_pages import LIST, NEW, PLANNER, csrf_of

from app.core.secrets import Secrets
from app.core.settings import Settings
from app.main import create_app

ADMIN = "an-admin-key-for-the-refusal-tests"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
EXTREMES = [
    "1e-300",
    "1e-320",
    "1e308",
    "-1e308",
    "9" * 5000,
    "-0",
    "nan",
    "inf",
    "１２",
    "0x10",
    "",
    " ",
    "\0",
    "a\0b",
    "1_0",
    "真",
]


@pytest.fixture(scope="module")
async def service(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """One service for all tests; the client is signed in to its pages, and may send its key instead."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE test_refusals TEMPLATE template_relate")
    async with FakePolicyServer(answer=lambda body: GOOD[: body["n"]]).running() as upstream:
        chosen = Settings(
            database_url=postgres.replace("/postgres?", "/test_refusals?"),
            data_dir=tmp_path_factory.mktemp("refusals"),
            policy_url=upstream.url,
            bootstrap_admin_key=ADMIN,
            rate_per_second=1e6,
        )
        Secrets.generate().save(chosen.secrets_path)
        app = create_app(chosen)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://relate.test") as http,
        ):
            csrf = csrf_of(await http.get("/signin"))
            assert (await http.post("/signin", data={"key": ADMIN, "csrf": csrf})).status_code == 303
            yield http


KEY = {"Authorization": f"Bearer {ADMIN}"}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/generate", a_request() | {"n": True}, "n"),
        ("/generate", a_request() | {"n": "3"}, "n"),
        ("/generate", a_request() | {"deadline_ms": 200.5}, "deadline_ms"),
        ("/generate", a_request() | {"brief": a_request()["brief"] | {"query": ""}}, "brief.query"),
        ("/generate", a_request() | {"brief": a_request()["brief"] | {"query": "跑\0鞋"}}, "brief.query"),
        ("/keys", {"name": "x", "scopes": ["ops"], "rate_per_second": 1e-320}, "rate_per_second"),
        ("/keys", {"name": "x", "scopes": ["ops"], "rate_per_second": True}, "rate_per_second"),
        ("/keys/1/rotate", {"overlap_minutes": True}, "overlap_minutes"),
        ("/policies", {"name": "r", "kind": "vllm", "locales": ["ja-JP"]}, "model"),
        ("/policies", {"name": "r", "kind": "nlg", "locales": ["ja-JP"], "endpoint": "http://vllm:1"}, "endpoint"),
        ("/experiments", {"name": "x", "arms": [{"name": "a", "policy": "b", "weight": True}] * 2}, "arms.0.weight"),
        ("/experiments", {"name": "x", "arms": [{"name": "a", "policy": "b"}] * 2, "low": 5, "high": 2}, "high"),
        (
            "/experiments",
            {"name": "x", "arms": [{"name": "a", "policy": "b"}] * 2, "planned_units": "9" * 5000},
            "planned_units",
        ),
    ],
)  # fmt: skip
async def test_the_exact_field_is_named(service: httpx.AsyncClient, path: str, body: Any, field: str) -> None:
    refusal = await service.post(path, json=body, headers=KEY)
    assert (refusal.status_code, refusal.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize("sent", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_that_is_not_declared_as_json_is_told_so(service: httpx.AsyncClient, sent: str) -> None:
    refusal = await service.post(
        "/generate", content=b'{"n": 1}', headers=KEY | ({"Content-Type": sent} if sent else {})
    )
    assert (refusal.status_code, refusal.json()["rule"]) == (415, "content_type")
    assert "send Content-Type: application/json" in refusal.json()["detail"]


async def test_json_that_cannot_be_read_is_a_fault_of_the_body(service: httpx.AsyncClient) -> None:
    refusal = await service.post("/generate", content=b"{]", headers=KEY | {"Content-Type": "application/json"})
    assert (refusal.status_code, refusal.json()["errors"][0]["field"]) == (422, "body")


@pytest.mark.parametrize("path", ["/nowhere", "/pages/nowhere", f"{LIST}/a%00b", f"{LIST}/没有"])
async def test_a_browser_gets_a_page_where_nothing_is(service: httpx.AsyncClient, path: str) -> None:
    page = await service.get(path, headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    if not path.startswith(LIST):
        assert (await service.get(path, headers=KEY)).json()["rule"] == "not_found"


async def form(service: httpx.AsyncClient, path: str, **fields: Any) -> httpx.Response:
    csrf = csrf_of(await service.get(NEW))
    return await service.post(path, data={"csrf": csrf, **fields})


AN_EXPERIMENT = {
    "name": "x", "layer": "default", "coverage_percent": "100", "window_days": "7", "planned_units": "1000",
    "arm_name": ["control", "b"], "arm_policy": ["champion", "champion"], "arm_weight": ["1", "1"],
}  # fmt: skip


@pytest.mark.parametrize("value", EXTREMES)
async def test_no_page_fails_over_an_extreme_number_or_a_nul(service: httpx.AsyncClient, value: str) -> None:
    fields = (
        "baseline_percent",
        "lift_percent",
        "units_a_day",
        "impressions_per_unit",
        "design_effect",
        "power_percent",
    )
    answers = [await service.get(PLANNER, params={field: value}) for field in (*fields, "days")]
    answers += [await service.get(NEW, params={field: value}) for field in ("planned_units", "layer")]
    answers += [await form(service, NEW, **AN_EXPERIMENT | {field: value}) for field in AN_EXPERIMENT if value != "-0"]
    answers += [await form(service, f"{LIST}/x/{do}", **{do_field: value}) for do, do_field in CHANGES.items()]
    answers += [
        await service.get(f"{LIST}/x", params={field: value}) for field in ("as_of", "tz", "phase", "view", "by")
    ]
    answers += [
        await service.get("/signin", params={"next": value}),
        await form(service, "/signin", key=value, next=value),
    ]
    assert [(answer.status_code, str(answer.url)) for answer in answers if answer.status_code >= 500] == []


CHANGES = {"ramp": "coverage_percent", "weights": "weights", "stop": "sure"}


@settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None)
@given(
    st.fixed_dictionaries(
        {
            "baseline_percent": st.floats(1e-6, 99.999),
            "lift_percent": st.floats(0.01, 1000),
            "units_a_day": st.integers(1, 10**9),
            "impressions_per_unit": st.floats(0.001, 10_000),
            "design_effect": st.floats(1, 1000),
            "power_percent": st.floats(5, 100, exclude_min=True, exclude_max=True),
            "days": st.integers(1, 10_000),
        }
    )
)
async def test_the_planner_answers_every_wish_within_its_bounds(
    service: httpx.AsyncClient, wish: dict[str, Any]
) -> None:
    assert (await service.get(PLANNER, params=wish)).status_code in (200, 422)
