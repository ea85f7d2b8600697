"""Prefill workers: take waiting briefs from the database, write texts at low priority until the pool has enough, and
record the outcome.

No transaction is open while the model writes: an item is claimed for a lease, and the lease is renewed before it
expires.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any

from adtext.brief import AdBrief
from adtext.spec import load_spec
from app.core.contract import Reason
from app.policies.base import WriterUnavailable
from app.policies.clients import PolicyClients
from app.runtime.periodic import Periodic
from app.runtime.pool_cache import pool_key
from app.runtime.state import ReplicaState
from app.services.serving.generation import Generation, Order, Overloaded
from app.services.serving.pool_loader import PoolLoader
from app.store import prefill as store
from app.store.database import Database, Unavailable
from app.store.texts import approved_count
from trainer.registry import PolicyVersion

log = logging.getLogger(__name__)

IDLE_S = 2.0  # seconds that an idle worker waits before it looks again; a new prefill wakes it at once
LEASE = timedelta(seconds=30)
RENEW_S = 10.0
REST_S, LONGEST_REST_S = 5.0, 300.0  # seconds that a policy that does not answer is not called, doubled each time
ENOUGH = 2  # approved texts that finish a brief; the pool grows further while it serves
ROUNDS = 6  # calls for one brief before it fails
_LATER: tuple[type[Exception], ...] = (*Unavailable, WriterUnavailable, Overloaded)  # then the item is tried again
SAMPLES = 16  # samples per call, of which the judge and the checks keep about a quarter: the best are served


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: str  # done | failed
    texts: int = 0
    reason: str | None = None


class _Rests:
    """Policies that do not answer. Their items wait, and one worker at a time tests if the policy answers again."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, float]] = {}  # by version: the end of the pause and its length
        self._trying: set[str] = set()

    def left_alone(self) -> Collection[str]:
        now = monotonic()
        return self._trying | {version for version, (until, _) in self._until.items() if until > now}

    @contextlib.contextmanager
    def watched(self, version: str) -> Any:
        """A context manager around the work on an item of this policy."""
        if version in self._until:
            self._trying.add(version)
        try:
            yield
            self._until.pop(version, None)
        except WriterUnavailable:
            _, last = self._until.get(version, (0.0, REST_S / 2))
            rest = min(2 * last, LONGEST_REST_S)
            self._until[version] = monotonic() + rest, rest
            raise
        finally:
            self._trying.discard(version)


class Prefilling:
    def __init__(
        self,
        database: Database,
        state: ReplicaState,
        pool_loader: PoolLoader,
        generation: Generation,
        clients: PolicyClients,
        *,
        workers: int,
    ) -> None:
        self._database, self._state = database, state
        self._pool_loader, self._generation, self._clients = pool_loader, generation, clients
        self._workers = workers
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._held: set[int] = set()  # items that the workers have claimed
        self._rests = _Rests()
        self._renewing = Periodic("the hold on prefill items", RENEW_S, lambda: self._hold(LEASE))

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work(), name=f"prefill-{number}") for number in range(self._workers)]
        self._renewing.start()

    async def stop(self) -> None:
        await self._renewing.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(*Unavailable):  # otherwise they become free when their lease expires
            await self._hold(timedelta())

    def wake(self) -> None:
        self._wake.set()

    async def _hold(self, lease: timedelta) -> None:
        if self._held:
            async with self._database.background() as connection:
                await store.keep(connection, list(self._held), lease)

    async def _work(self) -> None:
        while True:
            try:
                busy = await self._one()
            except Unavailable as error:
                log.warning("prefill waits for the database", extra={"error": str(error).partition("\n")[0]})
                busy = False
            except Exception:  # a worker that ends is not replaced
                log.exception("a prefill worker failed; it continues")
                busy = False
            if not busy:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), IDLE_S)

    async def _one(self) -> bool:
        """Claim, write and finish one item. Returns False where no item could be worked on."""
        async with self._database.background() as connection:
            item = await store.claim(connection, LEASE, but=self._rests.left_alone())
        if item is None:
            return False
        self._held.add(item.id)
        try:
            with self._rests.watched(item.policy_version):
                outcome = await self._write(item)
        except _LATER as error:
            log.warning("prefill waits", extra={"error": str(error).partition("\n")[0], "item": item.id})
            outcome = None
        except Exception:
            log.exception("a prefill item failed", extra={"item": item.id})
            outcome = _Outcome("failed", reason="internal_error")
        self._held.discard(item.id)
        async with self._database.background() as connection:
            if outcome is None:
                await store.keep(connection, [item.id], timedelta())
            else:
                await store.finish(connection, item.id, state=outcome.state, texts=outcome.texts, reason=outcome.reason)
        return outcome is not None

    async def _write(self, item: Any) -> _Outcome:
        policy = self._state.registry.policies.get(item.policy_version)
        brief = AdBrief.model_validate(item.brief)
        if policy is None:
            return _Outcome("failed", reason="unknown_policy")
        withdrawn = self._state.registry.withdrawn
        if policy.version in withdrawn.policies or withdrawn.holds_advertiser(brief.ad.advertiser):
            return _Outcome("failed", reason=Reason.WITHDRAWN)
        if not policy.speaks(brief.locale):
            return _Outcome("failed", reason=Reason.POLICY_DOES_NOT_WRITE_LOCALE)
        texts = await self._fill(policy, item.platform, brief)
        if texts:
            return _Outcome("done", texts)
        return _Outcome("failed", reason=Reason.REVIEW_REQUIRED if brief.regulated else Reason.NO_COMPLIANT_TEXT)

    async def _fill(self, policy: PolicyVersion, platform: str, brief: AdBrief) -> int:
        """Write until the key has enough texts; returns the number of its approved texts."""
        spec = load_spec(platform)
        key = pool_key(policy.version, spec, brief)
        order = Order(key, brief, spec, policy, SAMPLES)
        texts = len((await self._pool_loader.load(key)).texts)
        # all texts of a regulated industry go to review: one round is enough
        for _ in range(1 if brief.regulated else ROUNDS):
            if texts >= ENOUGH:
                break
            await self._generation.wait(order, self._clients(policy), None)
            async with self._database.background() as connection:
                texts = await approved_count(connection, key)
        return texts
