"""Serves `POST /generate`: the unit's arm, the policy's pool, a text written in time, or the fallback chain, in this
order.

No text with a blocking finding is served, whatever fails. The pool-hit path waits for neither disk nor network.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from abtest.events import Source
from adtext.spec import TextSpec, load_spec
from app.core.contract import GenerateRequest, GenerateResponse, Reason, ServedText
from app.core.metrics import ANSWERS, EMPTY, SERVED
from app.core.secrets import Secrets
from app.core.settings import Settings
from app.core.tokens import Sealer, Served
from app.policies.base import WriterUnavailable
from app.policies.clients import PolicyClients
from app.runtime.pool_cache import Head, Heads, PooledText, Rotation, fallback_key, pool_key
from app.runtime.state import ReplicaState
from app.services.serving.candidates import compliant_candidate
from app.services.serving.fallback import Fallback
from app.services.serving.generation import Generation, Order, Overloaded
from app.services.serving.pool_loader import PoolLoader
from app.services.serving.serving_log import ServingLog
from app.services.serving.unit_arm import UnitArm, arm_of_unit
from app.services.serving.withdrawn import servable
from app.store.database import Unavailable
from app.store.servings import ServingRow
from trainer.registry import PolicyVersion

RETRY_S = 10.0  # seconds during which a key whose last refill gave no text is not waited for
THIN_RETRY_S = 60.0  # seconds between background refills of a thin pool

WORTH = 0.5  # share of the remaining time that a caller may wait for its turn: the estimates are rough

Gone = Callable[[], Awaitable[None]]  # completes when the caller has disconnected
_SOURCES: dict[Source, Literal["pool", "fresh", "advertiser", "template"]] = {
    Source.POOL: "pool",
    Source.FRESH: "fresh",
    Source.ADVERTISER: "advertiser",
    Source.TEMPLATE: "template",
}
_SERVED = {source: SERVED.labels(name) for source, name in _SOURCES.items()}
_ANSWERS = {reason: ANSWERS.labels(reason or "none") for reason in (None, *Reason)}


class CallerGone(Exception):
    """The caller disconnected while it waited."""


@dataclass(frozen=True, slots=True)
class Choice:
    texts: Sequence[PooledText]
    source: Source
    reason: Reason | None = None


class TextServer:
    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        sealer: Sealer,
        state: ReplicaState,
        heads: Heads,
        pool_loader: PoolLoader,
        generation: Generation,
        fallback: Fallback,
        log: ServingLog,
        clients: PolicyClients,
    ) -> None:
        self._settings, self._secrets, self._sealer, self._state = settings, secrets, sealer, state
        self._heads, self._pool_loader, self._generation, self._fallback, self._log = (
            heads,
            pool_loader,
            generation,
            fallback,
            log,
        )
        self._clients = clients
        self._rotation = Rotation()

    async def serve(self, request: GenerateRequest, *, request_id: str, arrived: float, gone: Gone) -> GenerateResponse:
        """Texts for one unit. Raises Problem for an unknown experiment, and CallerGone when the caller has
        disconnected.

        arrived: `perf_counter` at the arrival of the request. The deadline and the latency count from it.
        """
        deadline = arrived + max(0, request.deadline_ms - self._settings.deadline_margin_ms) / 1000
        unit_arm = arm_of_unit(request, self._state.registry)
        unit = self._secrets.unit_digest(request.unit_id)
        choice = await self._choose(request, unit_arm.policy, unit, deadline, gone)
        if choice.reason is not None:
            self._clients.outages.fell_back(unit_arm.policy.version, len(choice.texts))
        return self._answer(request, request_id, unit_arm, unit, choice, arrived)

    async def _choose(
        self, request: GenerateRequest, policy: PolicyVersion, unit: bytes, deadline: float, gone: Gone
    ) -> Choice:
        spec, withdrawn = load_spec(request.platform), self._state.registry.withdrawn
        if withdrawn.holds_advertiser(request.brief.ad.advertiser):
            return Choice((), Source.NONE, Reason.WITHDRAWN)
        if policy.version in withdrawn.policies:
            reason = Reason.WITHDRAWN
        elif not self._state.confirmed:
            reason = Reason.RULES_UNCONFIRMED
        elif not policy.speaks(request.brief.locale):
            reason = Reason.POLICY_DOES_NOT_WRITE_LOCALE
        else:
            order = Order(
                pool_key(policy.version, spec, request.brief),
                request.brief,
                spec,
                policy,
                max(request.n, self._settings.pool_write_n),
            )
            try:
                return await self._from_policy(request, order, unit, deadline, gone)
            except _NoText as none:
                reason = none.reason
        return await self._from_fallback(request, spec, unit, deadline, reason)

    async def _from_policy(
        self, request: GenerateRequest, order: Order, unit: bytes, deadline: float, gone: Gone
    ) -> Choice:
        """The policy's texts: from the pool, else written now. Raises _NoText."""
        head = self._heads.get(order.key) if self._settings.pool else None
        if head is None or not head.texts:  # the fallback is prepared while the database and the model are asked
            self._fallback.prepare(fallback_key(order.spec, order.brief), order.brief, order.spec)
        if head is None and self._settings.pool:
            head = await self._load(order.key, deadline)
        allowed = self._allowed(head, request, order.spec) if head is not None else ()
        if head is not None and allowed:
            self._replenish(head, order, len(allowed))
            return Choice(self._turn(allowed, unit, order.key, request), Source.POOL)
        if order.brief.regulated:
            if head is None or time.monotonic() - head.attempted > THIN_RETRY_S:
                self._refill_behind(order, head)
            raise _NoText(Reason.REVIEW_REQUIRED)
        if head is not None and time.monotonic() - head.attempted < RETRY_S:
            raise _NoText(Reason.NO_COMPLIANT_TEXT)
        fresh = await self._write_now(order, deadline, gone)
        return Choice(self._turn(fresh, unit, order.key, request), Source.FRESH)

    async def _load(self, key: bytes, deadline: float) -> Head:
        try:
            async with asyncio.timeout(deadline - time.perf_counter()):
                return await self._pool_loader.load(key)
        except TimeoutError:
            raise _NoText(Reason.DEADLINE) from None
        except Unavailable:
            raise _NoText(Reason.STORE_UNAVAILABLE) from None

    async def _write_now(self, order: Order, deadline: float, gone: Gone) -> Sequence[PooledText]:
        """Wait for the refill of the key until the deadline or until the caller disconnects. Does not wait where the
        model cannot answer in time.
        """
        writer, left = self._clients(order.policy), deadline - time.perf_counter()
        if writer.down:
            raise _NoText(Reason.POLICY_UNAVAILABLE)
        spare = left - self._generation.pace(order.policy)
        if spare < 0:
            self._generation.refill_behind(order, writer)
            raise _NoText(Reason.MODEL_TOO_SLOW if left > 0 else Reason.DEADLINE)
        if self._generation.delay(order.policy) > spare * WORTH:
            self._generation.refill_behind(order, writer)
            raise _NoText(Reason.OVERLOADED)
        writing = asyncio.ensure_future(self._generation.wait(order, writer, left))
        leaving = asyncio.ensure_future(gone())
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not writing.done():
                raise CallerGone
            fresh = writing.result()
        except TimeoutError:
            raise _NoText(Reason.DEADLINE) from None
        except WriterUnavailable:
            raise _NoText(Reason.POLICY_UNAVAILABLE) from None
        except Overloaded:
            raise _NoText(Reason.OVERLOADED) from None
        except Unavailable:
            raise _NoText(Reason.STORE_UNAVAILABLE) from None
        finally:
            writing.cancel()
            leaving.cancel()
        if not fresh:
            raise _NoText(Reason.NO_COMPLIANT_TEXT)
        return fresh

    async def _from_fallback(
        self, request: GenerateRequest, spec: TextSpec, unit: bytes, deadline: float, reason: Reason
    ) -> Choice:
        """The advertiser's approved text, else the template's, else no text and the reason."""
        key = fallback_key(spec, request.brief)
        preparing = self._fallback.prepare(key, request.brief, spec)
        try:
            # the rest of the deadline, and part of the margin: this is the last chance to answer with a text
            left = max(deadline - time.perf_counter(), 0) + self._settings.deadline_margin_ms / 1000 * 0.6
            async with asyncio.timeout(left):
                texts = preparing.result() if preparing.done() else await asyncio.shield(preparing)
        except TimeoutError:
            return Choice((), Source.NONE, reason)
        except Unavailable:
            return Choice((), Source.NONE, Reason.STORE_UNAVAILABLE)
        if not texts:
            return Choice((), Source.NONE, reason)
        source = Source.ADVERTISER if texts[0].origin == "advertiser" else Source.TEMPLATE
        try:
            return Choice(self._turn(texts, unit, key, request), source, reason)
        except _NoText as none:
            return Choice((), Source.NONE, none.reason)

    def _allowed(self, head: Head, request: GenerateRequest, spec: TextSpec) -> Sequence[PooledText]:
        """The head's texts that pass the current rules and are not withdrawn. Texts that passed other rules are
        checked here, once.
        """
        rules = self._state.rules_of(request.brief.ad.advertiser)
        if head.allowed_by != rules.version:
            head.allowed = [
                replace(text, rules_version=rules.version)
                for text in head.texts
                if text.rules_version == rules.version
                or (
                    (candidate := compliant_candidate(text.text, request.brief, spec, rules))
                    and not candidate.needs_review
                )
            ]
            head.allowed_by = rules.version
        return servable(head.allowed, request.brief.ad.advertiser, self._state.registry.withdrawn)

    def _turn(self, texts: Sequence[PooledText], unit: bytes, key: bytes, request: GenerateRequest) -> list[PooledText]:
        """The unit's next texts. Raises _NoText where all are withdrawn. Nothing is awaited between this check and the
        answer.
        """
        texts = servable(texts, request.brief.ad.advertiser, self._state.registry.withdrawn)
        if not texts:
            raise _NoText(Reason.WITHDRAWN)
        seen = frozenset(text_id.bytes for text_id in request.seen) if request.seen else frozenset()
        return self._rotation.choose(texts, unit, key, request.n, seen)

    def _replenish(self, head: Head, order: Order, texts: int) -> None:
        thin = texts < self._settings.pool_target and time.monotonic() - head.attempted > THIN_RETRY_S
        stale = (
            time.time() - head.born > self._settings.pool_stale_hours * 3600
            and time.monotonic() - head.attempted > THIN_RETRY_S
        )
        if thin or stale:
            self._refill_behind(order, head)

    def _refill_behind(self, order: Order, head: Head | None) -> None:
        if head is not None:
            head.attempted = time.monotonic()
        self._generation.refill_behind(order, self._clients(order.policy))

    def _answer(
        self,
        request: GenerateRequest,
        request_id: str,
        unit_arm: UnitArm,
        unit: bytes,
        choice: Choice,
        arrived: float,
    ) -> GenerateResponse:
        now_ms = time.time_ns() // 1_000_000
        served = [Served(
            os.urandom(16), unit, text.id, unit_arm.phase_id, unit_arm.arm, text.policy_id, choice.source, now_ms
        ) for text in choice.texts]  # fmt: skip
        texts = [
            ServedText(
                text_id=UUID(bytes=text.id),
                title=text.text.title,
                description=text.text.description,
                description_2=text.text.description_2,
                token=self._sealer.seal(serving),
                source=_SOURCES[choice.source],
                policy=text.policy,
                machine_generated=text.origin != "advertiser",
            )
            for text, serving in zip(choice.texts, served, strict=True)
        ]
        _ANSWERS[choice.reason].inc()
        if texts:
            _SERVED[choice.source].inc(len(texts))
        else:
            EMPTY.labels(choice.reason).inc()
        answer = GenerateResponse(
            request_id=request_id,
            experiment=unit_arm.experiment,
            arm=unit_arm.arm_name,
            texts=texts,
            reason=choice.reason,
            fallback_missing=not texts,
            note=unit_arm.note,
        )
        latency_ms = (time.perf_counter() - arrived) * 1000
        for row in self._rows(request, request_id, unit_arm, unit, now_ms, latency_ms, served):
            self._log.add(row)
        return answer

    @staticmethod
    def _rows(
        request: GenerateRequest,
        request_id: str,
        unit_arm: UnitArm,
        unit: bytes,
        now_ms: int,
        latency_ms: float,
        served: Sequence[Served],
    ) -> Iterator[ServingRow]:
        """One row per text, or one row without a text where none is served."""
        nothing = (Served(os.urandom(16), unit, b"", unit_arm.phase_id, unit_arm.arm, 0, Source.NONE, now_ms),)
        for position, serving in enumerate(served or nothing):
            yield ServingRow(
                serving.serve_id,
                now_ms,
                request_id,
                unit,
                unit_arm.phase_id,
                unit_arm.arm,
                serving.text_id or None,
                serving.policy_id,
                serving.source,
                position,
                request.brief.query,
                request.brief.locale,
                request.platform,
                latency_ms,
            )


class _NoText(Exception):
    """The policy has no text to serve now, for this `reason`."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
