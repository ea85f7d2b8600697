"""Writing on the spot or ahead: one upstream call a key, however many wait for it; parse, check, deduplicate, commit,
then hand out.

A text is committed with its provenance before anybody can be served it.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from adtext.brief import AdBrief
from adtext.spec import TextSpec
from app.core.contract import TextState
from app.core.metrics import CANDIDATES, REFILLS
from app.policies.base import Writer, WriterUnavailable
from app.runtime.pool_cache import Head, Heads, PooledText, brief_digest
from app.runtime.state import ReplicaState
from app.services.serving.candidates import Vetted, identity, vet
from app.store.database import Database, Unavailable
from app.store.group_commit import GroupCommit
from app.store.texts import Batch, NewText, save_batches, written_texts
from trainer.registry import PolicyVersion

log = logging.getLogger(__name__)

LIVE, BACKGROUND, PREFILL = 0, 1, 2  # priorities: who is waiting goes first


class Overloaded(RuntimeError):
    """Too many keys are being written already."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to write: the key and everything that made it."""

    key: bytes
    brief: AdBrief
    spec: TextSpec
    policy: PolicyVersion
    n: int


@dataclass(slots=True)
class _Refill:
    task: asyncio.Task[Sequence[PooledText]]
    waiters: int = 0
    wanted: bool = True  # the pool wants the result although nobody waits


@dataclass(slots=True)
class Slots:
    """At most `slots` upstream calls at once; the next free slot goes to the lowest priority number, then to who came
    first.
    """

    slots: int
    _queue: list[tuple[int, int, asyncio.Future[None]]] = field(default_factory=list)
    _order: Callable[[], int] = field(default_factory=lambda: count().__next__)
    _began: dict[int, float] = field(default_factory=dict)  # calls under way, oldest first: monotonic seconds
    _took: float = 0.0  # seconds of the call that came back last
    _back: float = float("-inf")  # when it did

    @property
    def pace(self) -> float:
        """Seconds a call takes now: what the last one took, or for how long those under way have been silent where
        that is longer.
        """
        oldest = next(iter(self._began.values()), None)
        return self._took if oldest is None else max(self._took, time.monotonic() - max(oldest, self._back))

    @asynccontextmanager
    async def slot(self, priority: int) -> AsyncIterator[None]:
        if self.slots > 0:
            self.slots -= 1
        else:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._queue, (priority, self._order(), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._release()
                raise
        call = self._order()
        self._began[call] = time.monotonic()
        try:
            yield
            self._back = time.monotonic()
            self._took = self._back - self._began[call]
        finally:
            del self._began[call]
            self._release()

    def _release(self) -> None:
        while self._queue:
            _, _, turn = heapq.heappop(self._queue)
            if not turn.done():
                turn.set_result(None)
                return
        self.slots += 1


class Generation:
    """Refills pool keys. `pool=False` (to measure the miss path) keeps nothing and cancels what nobody waits for."""

    def __init__(
        self, database: Database, state: ReplicaState, heads: Heads, *, concurrency: int, most: int, pool: bool
    ) -> None:
        self._database, self._state, self._heads = database, state, heads
        self._concurrency, self._most, self._pool = concurrency, most, pool
        self._refills: dict[bytes, _Refill] = {}
        self._slots: dict[str, Slots] = {}
        self._commits = GroupCommit(database.direct, save_batches)

    async def wait(self, order: Order, writer: Writer, timeout: float | None) -> Sequence[PooledText]:
        """The texts of one refill, shared by all who wait for its key. Raises TimeoutError, Overloaded,
        WriterUnavailable, Unavailable.
        """
        refill = self._refill(order, writer, LIVE if timeout is not None else PREFILL)
        refill.waiters += 1
        try:
            return await asyncio.wait_for(asyncio.shield(refill.task), timeout)
        finally:
            refill.waiters -= 1
            if refill.waiters == 0 and not refill.wanted and not refill.task.done():
                refill.task.cancel()

    def pace(self, policy: PolicyVersion) -> float:
        """Seconds a call of this policy takes now; 0 before the first."""
        return self._slots_of(policy).pace

    def refill_behind(self, order: Order, writer: Writer) -> None:
        """Write more without anyone waiting. Dropped, not queued, when too much is under way."""
        if self._pool and order.key not in self._refills and len(self._refills) < self._most:
            self._refill(order, writer, BACKGROUND)

    @property
    def under_way(self) -> int:
        return len(self._refills)

    async def stop(self) -> None:
        tasks = [refill.task for refill in self._refills.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _refill(self, order: Order, writer: Writer, priority: int) -> _Refill:
        refill = self._refills.get(order.key)
        if refill is None:
            if len(self._refills) >= self._most:
                raise Overloaded(f"{self._most} pool keys are being written: the rest must wait")
            task = asyncio.create_task(self._run(order, writer, priority), name="refill")
            refill = self._refills[order.key] = _Refill(task, wanted=self._pool)
            task.add_done_callback(lambda done: self._finished(order.key, done))
        return refill

    def _finished(self, key: bytes, task: asyncio.Task[Sequence[PooledText]]) -> None:
        del self._refills[key]
        outcome = (
            "cancelled" if task.cancelled() else type(task.exception()).__name__ if task.exception() else "written"
        )
        REFILLS.labels(outcome).inc()
        if (
            not task.cancelled()
            and (error := task.exception()) is not None
            and not isinstance(error, (WriterUnavailable, *Unavailable))
        ):
            log.error("refill failed", exc_info=error)

    async def _run(self, order: Order, writer: Writer, priority: int) -> Sequence[PooledText]:
        seed = int.from_bytes(os.urandom(4), "big") >> 1  # a fresh one each call, kept as provenance
        async with self._slots_of(order.policy).slot(priority):
            draft = await writer.write(order.brief, order.spec, n=order.n, seed=seed)
        rules = self._state.rules
        vetted = vet(draft.completions, order.brief, order.spec, rules, cut=draft.cut)
        CANDIDATES.labels(order.policy.version, "compliant").inc(vetted.compliant)
        CANDIDATES.labels(order.policy.version, "refused").inc(vetted.candidates - vetted.compliant)
        texts = self._new(vetted, order, await self._known(order.key))
        batch = Batch(
            order.key,
            order.brief,
            brief_digest(order.brief),
            order.spec.name,
            order.spec.version,
            rules.version,
            order.policy.id,
            texts,
            draft.prompt_hash,
            draft.seed,
            vetted.candidates,
            vetted.compliant,
        )
        servable = await self._commits.submit(batch)
        fresh = [
            PooledText(new.id, new.text, order.policy.id, order.policy.version, new.origin, rules.version)
            for new in texts
            if new.id in servable
        ]
        if self._pool:
            self._keep(order.key, fresh)
        return fresh

    def _slots_of(self, policy: PolicyVersion) -> Slots:
        return self._slots.setdefault(policy.version, Slots(self._concurrency))

    async def _known(self, key: bytes) -> set[str]:
        """Identities of the texts that the key has already, in any state: nothing is written, reviewed or served twice
        under two ids.
        """
        if not self._pool:
            return set()
        async with self._database.direct() as connection:
            return {identity(text) for text in await written_texts(connection, key)}

    @staticmethod
    def _new(vetted: Vetted, order: Order, known: set[str]) -> list[NewText]:
        origin = "template" if order.policy.kind == "nlg" else "model"
        return [
            NewText(
                id=os.urandom(16),
                text=one.text,
                origin=origin,
                # regulated industries, and texts that rules alone cannot decide, wait for a person
                state=TextState.REVIEW if order.brief.regulated or one.needs_review else TextState.APPROVED,
                score=one.score,
                findings=one.findings,
            )
            for one in vetted.kept
            if identity(one.text) not in known
        ]

    def _keep(self, key: bytes, fresh: Sequence[PooledText]) -> None:
        head = self._heads.get(key)
        texts = [*(head.texts if head else ()), *fresh]
        self._heads.put(key, Head(texts, born=time.time(), attempted=time.monotonic()))
