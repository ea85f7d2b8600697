"""Writing ahead: takes waiting briefs from the database, writes at low priority until the pool holds enough, and says
what came of each.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from adtext.brief import AdBrief
from adtext.spec import load_spec
from app.core.contract import Reason
from app.core.settings import Settings
from app.policies.base import WriterUnavailable
from app.policies.clients import PolicyClients
from app.runtime.pool_cache import pool_key
from app.runtime.state import ReplicaState
from app.services.serving.generation import Generation, Order, Overloaded
from app.services.serving.pool_loader import PoolLoader
from app.store import prefill as store
from app.store.database import Database, Unavailable
from app.store.texts import approved_count
from trainer.registry import PolicyVersion

log = logging.getLogger(__name__)

IDLE_S = 2.0  # how long an idle worker waits before it looks again; a new prefill wakes it at once
ENOUGH = 2  # approved texts after which a brief counts as written; the pool grows further while it serves
# the item stays, and is tried again
_LATER: tuple[type[Exception], ...] = (*Unavailable, WriterUnavailable, Overloaded)
ROUNDS = 6  # upstream calls for one brief before it is given up
SAMPLES = 4  # drawn in each: twice what is enough: on CPU a batch costs what its texts cost


class Prefilling:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        state: ReplicaState,
        pool_loader: PoolLoader,
        generation: Generation,
        clients: PolicyClients,
        *,
        workers: int,
    ) -> None:
        self._settings, self._database, self._state = settings, database, state
        self._pool_loader, self._generation, self._clients = pool_loader, generation, clients
        self._workers = workers
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work(), name=f"prefill-{number}") for number in range(self._workers)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self) -> None:
        self._wake.set()

    async def _work(self) -> None:
        while True:
            try:
                busy = await self._one()
            except _LATER as error:
                log.warning("prefill waits", extra={"error": str(error).partition("\n")[0]})
                busy = False
            if not busy:
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), IDLE_S)
                except TimeoutError:
                    continue

    async def _one(self) -> bool:
        """Claim, write and finish one item, in one transaction that holds its row: a crash half-way gives the item
        back.
        """
        async with self._database.begin() as connection:
            item = await store.claim(connection)
            if item is None:
                return False
            policy = self._state.registry.policies.get(item.policy_version)
            brief = AdBrief.model_validate(item.brief)
            if policy is None or not policy.speaks(brief.locale):
                reason = "unknown_policy" if policy is None else "policy_does_not_write_locale"
                await store.finish(connection, item.id, state="failed", texts=0, reason=reason)
                return True
            texts = await self._write(item, policy, brief)
            why_not = Reason.REVIEW_REQUIRED if brief.regulated else Reason.NO_COMPLIANT_TEXT
            await store.finish(
                connection, item.id, state="done" if texts else "failed", texts=texts, reason=None if texts else why_not
            )
        return True

    async def _write(self, item: Any, policy: PolicyVersion, brief: AdBrief) -> int:
        spec = load_spec(item.platform)
        key = pool_key(policy.version, spec, brief)
        order = Order(key, brief, spec, policy, SAMPLES)
        texts = len((await self._pool_loader.load(key)).texts)
        # regulated texts all go to review: one round fills the reviewer's desk
        for _ in range(1 if brief.regulated else ROUNDS):
            if texts >= ENOUGH:
                break
            await self._generation.wait(order, self._clients(policy), None)
            async with self._database.begin() as connection:
                texts = await approved_count(connection, key)
        return texts
