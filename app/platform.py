"""The running service's parts, made once at start in the order they need each other, and handed to routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from adtext.rules import load_rules
from app.live import Live
from app.secrets import Secrets
from app.security import Gate
from app.services.fallback import Fallback
from app.services.folding import Folding
from app.services.glances import Glances
from app.services.ingest import Ingest
from app.services.loading import Loading
from app.services.pool import Heads
from app.services.prefill import Prefilling
from app.services.readiness import Readiness
from app.services.recheck import Recheck
from app.services.serving import Serving
from app.services.serving_log import ServingLog
from app.services.writers import Writers
from app.services.writing import Writing
from app.settings import Settings
from app.store.database import Database
from app.tokens import Sealer

PREFILL_WORKERS = 4
WARM_CONNECTIONS = 4


@dataclass(frozen=True)
class Platform:
    settings: Settings
    secrets: Secrets
    database: Database
    live: Live
    sealer: Sealer
    gate: Gate
    writers: Writers
    serving: Serving
    serving_log: ServingLog
    readiness: Readiness
    prefilling: Prefilling
    ingest: Ingest
    folding: Folding
    glances: Glances


class _Part(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Platform]:
    """The platform, started; stopped in reverse order at the end, so that what is queued is still written."""
    secrets = Secrets.load(settings.secrets_path)
    async with AsyncExitStack() as stack:

        async def started(part: _Part) -> None:
            await part.start()
            stack.push_async_callback(part.stop)

        database = Database(settings)
        stack.push_async_callback(database.close)
        await database.warm(WARM_CONNECTIONS)
        heads, writers = Heads(settings.pool_heads), Writers(settings)
        stack.push_async_callback(writers.close)
        live = Live(settings, database, load_rules(settings.packs_dir), heads)
        await started(live)
        log = ServingLog(database)
        await started(log)
        loading = Loading(database, live, heads)
        writing = Writing(
            database,
            live,
            heads,
            concurrency=settings.policy_concurrency,
            most=settings.max_refills,
            pool=settings.pool,
        )
        stack.push_async_callback(writing.stop)
        sealer = Sealer(secrets.tokens)
        fallback = Fallback(database, live, heads)
        serving = Serving(settings, secrets, sealer, live, heads, loading, writing, fallback, log, writers)
        prefilling = Prefilling(settings, database, live, loading, writing, writers, workers=PREFILL_WORKERS)
        await started(prefilling)
        await started(Recheck(database, live))
        ingest, folding = Ingest(settings, database, live, sealer), Folding(settings, database)
        await started(folding)
        glances = Glances(database)
        gate, readiness = Gate(settings, secrets, live), Readiness(database, live, writers)
        yield Platform(
            settings,
            secrets,
            database,
            live,
            sealer,
            gate,
            writers,
            serving,
            log,
            readiness,
            prefilling,
            ingest,
            folding,
            glances,
        )


async def current(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


PlatformDep = Annotated[Platform, Depends(current)]
