"""Readiness of this replica. Load balancers ask every second, so the answer is cached for one second."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from app.policies.clients import PolicyClients
from app.runtime.single_flight import SingleFlight
from app.runtime.state import ReplicaState
from app.store.database import Database, Unavailable
from trainer.registry import PolicyVersion

KEPT_S = 1.0
PROBE_S = 1.0  # seconds that the parts are asked for, all at once

State = Literal["ready", "degraded", "not_ready"]


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    state: State
    detail: str


class Readiness:
    """Parts: database, registry, rules, and each policy in use. A policy that is down only degrades the replica: the
    fallback chain serves.
    """

    def __init__(self, database: Database, state: ReplicaState, clients: PolicyClients) -> None:
        self._database, self._state, self._clients = database, state, clients
        self._asking = SingleFlight[None, tuple[Part, ...]]("readiness")
        self._reaching = SingleFlight[None, None]("the probe of the database", expected=Unavailable)
        self._parts: tuple[Part, ...] = ()
        self._asked_at = float("-inf")

    async def parts(self) -> tuple[Part, ...]:
        """Check all parts within about a second, even if one hangs."""
        if monotonic() - self._asked_at <= KEPT_S:
            return self._parts
        return await asyncio.shield(self._asking.join(None, self._ask))

    async def _ask(self) -> tuple[Part, ...]:
        database, *policies = await asyncio.gather(
            self._reach_database(), *map(self._policy, self._state.registry.in_use)
        )
        self._parts = (database, self._registry(), self._rules(), *policies)
        self._asked_at = monotonic()
        return self._parts

    async def _reach_database(self) -> Part:
        """Check the database over the connections that pool misses use."""
        try:
            await asyncio.wait_for(asyncio.shield(self._reaching.join(None, self._select)), PROBE_S)
        except TimeoutError:
            return Part("database", "not_ready", f"no answer within {PROBE_S:g} s")
        except Unavailable as error:
            return Part(
                "database", "not_ready", f"unreachable ({type(error).__name__}): nothing can be read or written"
            )
        return Part("database", "ready", "reachable")

    async def _select(self) -> None:
        async with self._database.direct() as connection:
            await connection.execute("SELECT 1")

    def _registry(self) -> Part:
        if not self._state.loaded:
            return Part(
                "registry",
                "not_ready",
                "keys, policies and experiments were not read yet: run `relate migrate` if this stays",
            )
        if "champion" not in self._state.registry.aliases:
            return Part("registry", "not_ready", "no policy is the champion: promote one")
        return Part("registry", "ready", f"revision {self._state.registry.number}")

    def _rules(self) -> Part:
        version = self._state.rules.version
        if not self._state.confirmed:
            return Part(
                "rules",
                "not_ready",
                f"could not confirm for two seconds that {version} is in force: only the fallback is served",
            )
        return Part("rules", "ready", f"{version} is in force")

    async def _policy(self, policy: PolicyVersion) -> Part:
        if policy.version in self._state.registry.withdrawn.policies:
            return Part(f"policy {policy.version}", "degraded", "withdrawn: the fallback chain serves")
        try:
            healthy = await asyncio.wait_for(self._clients(policy).healthy(), PROBE_S)
        except TimeoutError:
            healthy = False
        if healthy:
            return Part(f"policy {policy.version}", "ready", "answers")
        return Part(
            f"policy {policy.version}", "degraded", "does not answer: pooled texts and the fallback chain are served"
        )
