"""Writes texts, for a waiting request or in advance: one call per key, however many requests wait for it. Completions
are parsed, checked, deduplicated and committed before they are served.

A text is committed with its provenance before it can be served.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adtext.brief import AdBrief, wording
from adtext.spec import TextSpec
from app.core.contract import HeldFor, TextState
from app.core.metrics import CANDIDATES, REFILLS
from app.core.settings import Settings
from app.policies.base import Writer, WriterUnavailable
from app.runtime.pool_cache import Head, Heads, PooledText, brief_digest
from app.runtime.single_flight import SingleFlight
from app.runtime.state import ReplicaState
from app.services.compliance.off_loop import weighed
from app.services.serving.candidates import vet
from app.services.serving.judging import Judged, Judging
from app.services.serving.slots import BACKGROUND, LIVE, PREFILL, CallSlots
from app.services.serving.withdrawn import holds
from app.store.database import Database, Unavailable
from app.store.group_commit import GroupCommit
from app.store.texts import Batch, NewText, kept_texts, save_batches
from trainer.registry import PolicyVersion

_OUTCOMES = ("written", "no_text", "cancelled", "policy_unavailable", "store_unavailable", "failed")
_REFILLS = {outcome: REFILLS.labels(outcome) for outcome in _OUTCOMES}


class Overloaded(RuntimeError):
    """Too many keys are being written."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to write: the pool key and everything that determines it."""

    key: bytes
    brief: AdBrief
    spec: TextSpec
    policy: PolicyVersion
    n: int


class Generation:
    """Refills pool keys. With `pool` off (to measure the miss path) it stores nothing and cancels calls that no request
    waits for.
    """

    def __init__(
        self, settings: Settings, database: Database, state: ReplicaState, heads: Heads, judging: Judging
    ) -> None:
        self._judging = judging
        self._database, self._state, self._heads = database, state, heads
        self._concurrency, self._most, self._pool = settings.policy_concurrency, settings.max_refills, settings.pool
        self._refills = SingleFlight[bytes, Sequence[PooledText]](
            "a refill", expected=(WriterUnavailable, *Unavailable)
        )
        self._waiters = Counter[bytes]()
        self._slots: dict[str, CallSlots] = {}
        self._queued = set[bytes]()  # keys whose call has not started
        self._commits = GroupCommit(database.direct, save_batches)

    async def wait(self, order: Order, writer: Writer, timeout: float | None) -> Sequence[PooledText]:
        """The texts of one refill, shared by all who wait for its key. Raises TimeoutError, Overloaded,
        WriterUnavailable, Unavailable.
        """
        refill = self._refill(order, writer, LIVE if timeout is not None else PREFILL)
        self._waiters[order.key] += 1
        try:
            return await asyncio.wait_for(asyncio.shield(refill), timeout)
        finally:
            self._waiters[order.key] -= 1
            if not self._waiters[order.key]:
                del self._waiters[order.key]
                # no request waits for it, and it is not stored or has not started: cancelled in favour of others
                if not self._pool or order.key in self._queued:
                    refill.cancel()

    def pace(self, policy: PolicyVersion) -> float:
        """The seconds that a call of this policy takes now, at least; 0 while they are unknown."""
        return self._slots_of(policy).pace

    def delay(self, policy: PolicyVersion) -> float:
        """The seconds until a call of this policy that is added now begins."""
        return self._slots_of(policy).delay

    def refill_behind(self, order: Order, writer: Writer) -> None:
        """Refill in the background. The refill is dropped when half of the places are taken: the other half is for keys
        that a request waits for.
        """
        if self._pool and order.key not in self._refills and len(self._refills) < (self._most + 1) // 2:
            self._refill(order, writer, BACKGROUND)

    @property
    def under_way(self) -> int:
        return len(self._refills)

    async def stop(self) -> None:
        await self._refills.stop()

    def _refill(self, order: Order, writer: Writer, priority: int) -> asyncio.Future[Sequence[PooledText]]:
        if order.key not in self._refills and len(self._refills) >= self._most:
            raise Overloaded(f"{self._most} pool keys are being written: try again later")
        return self._refills.join(order.key, lambda: self._counted(order, writer, priority))

    async def _counted(self, order: Order, writer: Writer, priority: int) -> Sequence[PooledText]:
        outcome = "cancelled"
        try:
            texts = await self._run(order, writer, priority)
            outcome = "written" if texts else "no_text"
            return texts
        except WriterUnavailable:
            outcome = "policy_unavailable"
            raise
        except Unavailable:
            outcome = "store_unavailable"
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            _REFILLS[outcome].inc()

    async def _run(self, order: Order, writer: Writer, priority: int) -> Sequence[PooledText]:
        seed = int.from_bytes(os.urandom(4), "big") >> 1  # a new seed per call, stored as provenance
        async with self._begin(order, priority):
            draft = await writer.write(order.brief, order.spec, n=order.n, seed=seed)
        rules = self._state.rules_of(order.brief.ad.advertiser)
        chars = sum(map(len, draft.completions)) + sum(map(len, order.brief.facts()))
        vetted = await weighed(chars, lambda: vet(draft.completions, order.brief, order.spec, rules, cut=draft.cut))
        CANDIDATES.labels(order.policy.version, "compliant").inc(vetted.compliant)
        CANDIDATES.labels(order.policy.version, "refused").inc(vetted.candidates - vetted.compliant)
        judged = (
            [Judged(candidate, served=True) for candidate in vetted.kept]  # a template repeats the brief's facts
            if order.policy.kind == "nlg"
            else await self._judging(vetted.kept, order.brief)
        )
        looked_at, passed = self._judge_counts(order, len(vetted.kept), judged)
        texts = self._new(judged, order, await self._known(order.key))
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
            looked_at,
            passed,
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

    def _judge_counts(self, order: Order, asked: int, judged: Sequence[Judged]) -> tuple[int, int]:
        """How many texts the judge looked at, and how many it passed. It failed where a kept text has no judgement."""
        unread = order.policy.kind == "nlg" or not self._judging.covers(order.brief.language)
        if unread or any(each.judgement is None for each in judged):
            return 0, 0
        return asked, sum(each.served for each in judged)

    @asynccontextmanager
    async def _begin(self, order: Order, priority: int) -> AsyncIterator[None]:
        self._queued.add(order.key)
        try:
            async with self._slots_of(order.policy).slot(priority):
                self._queued.discard(order.key)
                yield
        finally:
            self._queued.discard(order.key)

    def _slots_of(self, policy: PolicyVersion) -> CallSlots:
        return self._slots.setdefault(policy.version, CallSlots(self._concurrency))

    async def _known(self, key: bytes) -> set[str]:
        """The identities of all texts of the key, also of rejected ones, so that no text is stored under two ids."""
        if not self._pool:
            return set()
        async with self._database.direct() as connection:
            return {wording(text) for text in await kept_texts(connection, key)}

    def _new(self, judged: Sequence[Judged], order: Order, known: set[str]) -> list[NewText]:
        withdrawn = self._state.registry.withdrawn.wordings(order.brief.ad.advertiser)
        origin = "template" if order.policy.kind == "nlg" else "model"
        return [
            NewText(
                id=os.urandom(16),
                text=verdict.candidate.text,
                origin=origin,
                # regulated industries, and texts that rules and judge cannot decide, wait for a person
                state=TextState.REVIEW if (held_for := _held_for(verdict, order.brief)) else TextState.APPROVED,
                score=verdict.rank,
                findings=verdict.candidate.findings,
                held_for=held_for,
                judge=verdict.judge,
                judgement=verdict.judgement,
            )
            for verdict in judged
            if wording(verdict.candidate.text) not in known and not holds(withdrawn, verdict.candidate.text)
        ]

    def _keep(self, key: bytes, fresh: Sequence[PooledText]) -> None:
        head = self._heads.get(key)
        texts = [*(head.texts if head else ()), *fresh]
        self._heads.put(key, Head(texts, born=time.time(), attempted=time.monotonic()))


def _held_for(judged: Judged, brief: AdBrief) -> list[HeldFor]:
    """Why a person looks at the text before it is served; empty: nobody need."""
    reasons = {
        HeldFor.FINDING: judged.candidate.needs_review,
        HeldFor.REGULATED: brief.regulated,
        HeldFor.JUDGE_UNSURE: not judged.served,
    }
    return [reason for reason, holds_it in reasons.items() if holds_it]
