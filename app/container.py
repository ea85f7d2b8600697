"""The parts of the running service: created once at start, in the order of their dependencies, and given to routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from adtext.remember import MIB
from adtext.rules import load_rules
from app.core.metrics import POOL_HEADS
from app.core.secrets import Secrets
from app.core.settings import Settings
from app.core.tokens import Sealer
from app.policies.clients import PolicyClients
from app.policies.judges import make_judge
from app.runtime.pool_cache import Heads
from app.runtime.state import ReplicaState
from app.services.admin.policy_watch import PolicyWatch
from app.services.admin.readiness import Readiness
from app.services.compliance.revalidation import Revalidation
from app.services.events.aggregation import Aggregation
from app.services.events.ingest import Ingest
from app.services.jobs.watch import JobWatch
from app.services.registry.adapter_watch import AdapterWatch
from app.services.registry.adapters import Adapters
from app.services.registry.promotion import Promotions
from app.services.reports.ratio_watch import RatioWatch
from app.services.reports.summaries import Summaries
from app.services.serving.assets import AssetSets
from app.services.serving.fallback import Fallback
from app.services.serving.generate import TextServer
from app.services.serving.generation import Generation
from app.services.serving.judging import Judging
from app.services.serving.pool_loader import PoolLoader
from app.services.serving.prefill import Prefilling
from app.services.serving.serving_log import ServingLog
from app.store.database import Database

PREFILL_WORKERS = 4
WARM_CONNECTIONS = 4


@dataclass(frozen=True)
class Container:
    settings: Settings
    secrets: Secrets
    database: Database
    state: ReplicaState
    sealer: Sealer
    clients: PolicyClients
    serving: TextServer
    serving_log: ServingLog
    asset_sets: AssetSets
    readiness: Readiness
    prefilling: Prefilling
    ingest: Ingest
    aggregation: Aggregation
    summaries: Summaries
    promotions: Promotions
    adapters: Adapters


class _Part(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Container]:
    """The service's parts, started. They stop in reverse order at the end, so that queued rows are still written."""
    secrets = Secrets.load(settings.secrets_path)
    async with AsyncExitStack() as stack:

        async def started(part: _Part) -> None:
            await part.start()
            stack.push_async_callback(part.stop)

        database = Database(settings)
        stack.push_async_callback(database.close)
        await database.warm(WARM_CONNECTIONS)
        heads, clients, adapters = Heads(settings.pool_memory_mib * MIB), PolicyClients(settings), Adapters(settings)
        POOL_HEADS.set_function(lambda: len(heads))
        stack.push_async_callback(clients.close)
        state = ReplicaState(settings, database, load_rules(settings.packs_dir), heads)
        await started(state)
        serving_log, pool_loader = ServingLog(database), PoolLoader(database, state, heads)
        await started(serving_log)
        judging = Judging(make_judge(settings), settings.unjudged)
        stack.push_async_callback(judging.stop)
        generation = Generation(settings, database, state, heads, judging)
        stack.push_async_callback(generation.stop)
        sealer, fallback = Sealer(secrets.tokens), Fallback(database, state, heads)
        serving = TextServer(
            settings, secrets, sealer, state, heads, pool_loader, generation, fallback, serving_log, clients
        )
        prefilling = Prefilling(database, state, pool_loader, generation, clients, workers=PREFILL_WORKERS)
        aggregation = Aggregation(settings, database)
        for part in (prefilling, *_watches(database, state, clients, adapters), aggregation):
            await started(part)
        yield Container(
            settings=settings,
            secrets=secrets,
            database=database,
            state=state,
            sealer=sealer,
            clients=clients,
            serving=serving,
            serving_log=serving_log,
            asset_sets=AssetSets(database, state, pool_loader, generation, clients, judging),
            readiness=Readiness(database, state, clients),
            prefilling=prefilling,
            ingest=Ingest(settings, database, state, sealer),
            aggregation=aggregation,
            summaries=Summaries(database),
            adapters=adapters,
            promotions=Promotions(database, clients, state.refresh),
        )


def _watches(database: Database, state: ReplicaState, clients: PolicyClients, adapters: Adapters) -> tuple[_Part, ...]:
    """What looks after the pool, the policies, the jobs and the experiments, every few seconds."""
    return (
        Revalidation(database, state),
        PolicyWatch(state, clients),
        AdapterWatch(state, adapters),
        JobWatch(database),
        RatioWatch(database, state),
    )


async def current(request: Request) -> Container:
    container: Container = request.app.state.container
    return container


ContainerDep = Annotated[Container, Depends(current)]
