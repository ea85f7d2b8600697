"""The API keeps to its own description: whatever is sent, no fault but the documented 503, and every refusal is a
problem document.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import requests
import schemathesis
from fakes import FakePolicyServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from service import GOOD

from app.core.problems import MEDIA_TYPE
from app.core.secrets import Secrets
from app.core.settings import Settings
from app.main import create_app

ADMIN = "an-admin-key-for-the-schema-test"
KNOWN = {"name": "schema-test"}  # path parameters of things that exist
BASE = "http://relate.test"
SCHEMA = schemathesis.openapi.from_dict(create_app(Settings()).openapi())
OPERATIONS = {operation.label: operation for operation in (found.ok() for found in SCHEMA.get_all_operations())}
CASES = [
    pytest.param(label, mode, id=f"{label} {mode.value}")
    for label, operation in OPERATIONS.items()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode == GenerationMode.POSITIVE or operation.definition.raw.get("parameters") or operation.body
]
ROUTER = {404, 405}  # a path parameter may make another address, or none


@pytest.fixture(scope="module")
async def service(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """One running service for all examples; the bootstrap key cannot be revoked by one of them."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE test_openapi TEMPLATE template_relate")
    async with FakePolicyServer(answer=lambda body: GOOD[: body["n"]]).running() as upstream:
        chosen = Settings(
            database_url=postgres.replace("/postgres?", "/test_openapi?"),
            data_dir=tmp_path_factory.mktemp("openapi"),
            policy_url=upstream.url,
            bootstrap_admin_key=ADMIN,
            rate_per_second=1e6,
        )
        Secrets.generate().save(chosen.secrets_path)
        app = create_app(chosen)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url=BASE, headers={"Authorization": f"Bearer {ADMIN}"}
            ) as http,
        ):
            await _furnish(http)
            yield http


async def _furnish(http: httpx.AsyncClient) -> None:
    """An experiment that runs, so that half of the cases meet something that is there."""
    arms = [{"name": name, "policy": "champion", "weight": 1} for name in ("control", "treatment")]
    assert (await http.post("/experiments", json={"name": KNOWN["name"], "arms": arms})).status_code == 201
    assert (await http.post(f"/experiments/{KNOWN['name']}/start")).status_code == 200


async def send(http: httpx.AsyncClient, case: schemathesis.Case) -> httpx.Response:
    prepared = requests.Request(**{"method": case.method, **case.as_transport_kwargs(base_url=BASE)}).prepare()
    headers = {
        name: value
        for name, value in prepared.headers.items()
        if name.lower() not in ("content-length", "authorization", "cookie")
    }
    return await http.request(case.method, str(prepared.url), content=prepared.body, headers=headers)


@pytest.mark.parametrize(("label", "mode"), CASES)
@settings(max_examples=10, suppress_health_check=list(HealthCheck), database=None)
@given(data=st.data())
async def test_every_answer_is_one_that_the_document_names(
    service: httpx.AsyncClient, label: str, mode: GenerationMode, data: Any
) -> None:
    operation = OPERATIONS[label]
    case = data.draw(operation.as_strategy(generation_mode=mode))
    if data.draw(st.booleans()):
        case.path_parameters |= {name: value for name, value in KNOWN.items() if name in case.path_parameters}
    answer = await send(service, case)
    documented = {int(status) for status in operation.definition.raw["responses"]}
    assert answer.status_code in documented | ROUTER, answer.text
    assert answer.status_code < 500 or answer.status_code == 503, answer.text
    if answer.status_code >= 400 and label != "GET /readyz":
        assert answer.headers["content-type"] == MEDIA_TYPE
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_every_operation_says_what_it_does_and_how_it_refuses() -> None:
    for label, operation in OPERATIONS.items():
        definition = operation.definition.raw
        assert definition.get("description"), label
        assert label in ("GET /healthz", "GET /readyz") or "422" in definition["responses"], label


def test_only_what_needs_no_key_is_open() -> None:
    open_to_all = {label for label, operation in OPERATIONS.items() if not operation.definition.raw.get("security")}
    assert open_to_all == {"GET /healthz", "GET /readyz", "GET /pixel/{kind}"}


def test_the_handbook_has_every_address() -> None:
    handbook = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert [label for label in OPERATIONS if label not in handbook] == []
