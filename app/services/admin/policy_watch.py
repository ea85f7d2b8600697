"""Checks the health of every policy in use, so that the gauge is current even without requests."""

from __future__ import annotations

import asyncio
import contextlib

from app.policies.clients import PolicyClients
from app.runtime.periodic import Periodic
from app.runtime.state import ReplicaState
from trainer.registry import PolicyVersion

INTERVAL_S = 5.0
PROBE_S = 2.0


class PolicyWatch:
    def __init__(self, state: ReplicaState, clients: PolicyClients) -> None:
        self._state, self._clients = state, clients
        self._periodic = Periodic("the watch over policies", INTERVAL_S, self.look)

    async def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()

    async def look(self) -> None:
        policies = self._state.registry.in_use
        self._clients.outages.keep({policy.version for policy in policies})
        await asyncio.gather(*map(self._check, policies))

    async def _check(self, policy: PolicyVersion) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._clients(policy).healthy(), PROBE_S)
            return
        self._clients.outages.checked(policy.version, healthy=False)
