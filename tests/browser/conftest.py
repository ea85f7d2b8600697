"""A real server on a real database, and a real browser in front of it, both for the whole run."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import uvicorn
from comparable import add_comparable
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from trials import ArmOf, draft, run, stop
from visits import Site, Visit, Visitor
from waiting import seed_texts

from app.core.api_keys import digest_of, new_key
from app.core.secrets import Secrets
from app.core.settings import Settings
from app.main import create_app
from app.services.events.aggregation import Aggregation
from app.store.database import Database

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def site(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The service under uvicorn with trials in every state."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS browser WITH (FORCE)")  # an earlier module's database
        connection.execute("CREATE DATABASE browser TEMPLATE template_relate")
    settings = Settings(
        database_url=postgres.replace("/postgres?", "/browser?"),
        data_dir=tmp_path_factory.mktemp("site"),
        policy_url="http://127.0.0.1:9",
    )
    Secrets.generate().save(settings.secrets_path)
    key, prefix = new_key()
    with psycopg.connect(settings.database_url) as connection:
        row = ("Ana Lyst", prefix, digest_of(key), ["report", "ops", "review"])
        connection.execute("INSERT INTO api_keys (name, prefix, digest, scopes) VALUES (%s, %s, %s, %s)", row)
        seed(connection)
        seed_texts(connection)
        add_comparable(connection, 9)
        connection.execute("ANALYZE events")
    asyncio.run(folded(settings))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # who comes before the server has started waits
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield Site(f"http://127.0.0.1:{listening.getsockname()[1]}", key)
        server.should_exit = True
        thread.join()


async def folded(settings: Settings) -> None:
    """Fold all that was seeded, so that no page waits for it."""
    database = Database(settings)
    await Aggregation(settings, database).catch_up()
    await database.close()


def seed(connection: psycopg.Connection[Any]) -> None:
    winning = [ArmOf("nlg"), ArmOf("relate", ctr=0.1, cvr=0.34)]
    run(connection, "title-relate-v3", winning, days=12, units_a_day=1000, layer="search", seed=1)
    run(
        connection,
        "health-desc",
        [ArmOf("base"), ArmOf("relate", cvr=0.27), ArmOf("dpo", ctr=0.077)],
        days=10,
        units_a_day=450,
        seed=2,
    )
    run(connection, "咖啡-标题", [ArmOf("对照"), ArmOf("新文案")], days=5, units_a_day=60, layer="中文", seed=3)
    run(connection, "lost-units", [ArmOf("control"), ArmOf("treatment", share=0.85)], days=9, units_a_day=600, seed=4)
    run(
        connection,
        "old-desc",
        [ArmOf("nlg"), ArmOf("base", ctr=0.065)],
        days=14,
        units_a_day=400,
        seed=5,
        planned_units=4_000,
    )
    stop(connection, "old-desc", datetime.now(UTC) - timedelta(days=5))
    draft(connection, "weight-loss-v2", [ArmOf("control"), ArmOf("relate")])


@pytest.fixture(scope="module")  # not longer: Playwright's loop must be gone before asynchronous tests follow
def browser() -> Iterator[Browser]:
    found = os.environ.get("RELATE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("needs Chromium: install it, or name it in RELATE_CHROMIUM")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def session(site: Site, browser: Browser) -> Any:
    """The cookie of someone who signed in."""
    context = browser.new_context()
    Visit(context.new_page(), site).sign_in()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def visitor(site: Site, browser: Browser, session: Any) -> Iterator[Visitor]:
    """`visitor(color_scheme="dark")`: a new visitor, signed in. At the end nothing may have gone wrong, nor left this
    machine.
    """
    contexts: list[tuple[BrowserContext, Visit]] = []

    def come(**options: Any) -> Visit:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "storage_state": session, **options}
        )
        visit = Visit(context.new_page(), site)
        visit.page.on(
            "console",
            lambda message: visit.complaints.append(message.text) if message.type in ("error", "warning") else None,
        )
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.on(
            "request", lambda request: visit.hosts.add(request.url.split("/")[2] if "://" in request.url else "inline")
        )
        contexts.append((context, visit))
        return visit

    yield come
    for context, visit in contexts:
        context.close()
        assert visit.complaints == []
        assert visit.hosts <= {site.url.removeprefix("http://"), "inline"}
