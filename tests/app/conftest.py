"""What the service's tests share: a policy server that stands in for vLLM, and requests as an ad system sends them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest
from counting import AdSystem
from fakes import FakePolicyServer
from fastapi import FastAPI
from job_platform import JobPlatform
from page_visits import Visitors, csrf_of
from service import GOOD, Generate, a_request

from app.core.settings import Settings
from app.up.stack import Stack


@pytest.fixture
async def upstream() -> AsyncIterator[FakePolicyServer]:
    async with FakePolicyServer(answer=lambda body: GOOD[: body["n"]]).running() as server:
        yield server


@pytest.fixture
def settings(settings: Settings, upstream: FakePolicyServer) -> Settings:
    return settings.model_copy(update={"policy_url": upstream.url})


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A platform without a model, with every part that `relate up` starts."""
    with (
        TemporaryDirectory(prefix="relate-tests-") as folder,
        Stack(Settings(data_dir=Path(folder), port=0), model=False) as running,
    ):
        yield running


@pytest.fixture
async def platform(settings: Settings, keys: object, tmp_path: Path) -> AsyncIterator[JobPlatform]:
    """A platform whose jobs run the fake commands, without schedules."""
    data = settings.replaced(data_dir=tmp_path / "data", retention_cron="", backup_cron="")
    (tmp_path / "commands").mkdir()
    platform = JobPlatform(data, tmp_path / "commands")
    yield platform
    await platform.database.close()


@pytest.fixture
def generate(client: httpx.AsyncClient, keys: dict[str, dict[str, str]]) -> Generate:
    """POST /generate as an ad system; returns the answer's body after checking that it is a 200."""

    async def call(body: dict[str, Any] | None = None, **over: Any) -> dict[str, Any]:
        answer = await client.post("/generate", json=body or a_request(**over), headers=keys["generate"])
        assert answer.status_code == 200, answer.text
        parsed: dict[str, Any] = answer.json()
        return parsed

    return call


@pytest.fixture
def database(settings: Settings, keys: object) -> psycopg.Connection[tuple[Any, ...]]:
    """A plain connection beside the service's own, autocommitting."""
    return psycopg.connect(settings.database_url, autocommit=True, application_name="test")


@pytest.fixture
def ad_system(app: FastAPI, client: httpx.AsyncClient, keys: dict[str, dict[str, str]]) -> AdSystem:
    return AdSystem(app, client, keys)


@pytest.fixture
async def visitor(app: FastAPI, bearer: Callable[..., Awaitable[dict[str, str]]]) -> AsyncIterator[Visitors]:
    """`await visitor("report")`: someone who signed in with a key of these scopes."""
    clients = []

    async def come(*scopes: str) -> httpx.AsyncClient:
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://relate.test")
        clients.append(http)
        key = (await bearer(*scopes))["Authorization"].removeprefix("Bearer ")
        csrf = csrf_of(await http.get("/signin"))
        assert (await http.post("/signin", data={"key": key, "csrf": csrf})).status_code == 303
        return http

    yield come
    for http in clients:
        await http.aclose()


@pytest.fixture
async def analyst(visitor: Visitors) -> httpx.AsyncClient:
    return await visitor("report")


@pytest.fixture
async def operator(visitor: Visitors) -> httpx.AsyncClient:
    return await visitor("ops")
