"""Loads the adapters of policies in use again after their server was restarted: it forgets what was loaded while it
ran.
"""

from __future__ import annotations

import logging

from app.core.problems import Problem
from app.runtime.periodic import Periodic
from app.runtime.state import ReplicaState
from app.services.registry.adapters import Adapters

log = logging.getLogger(__name__)

INTERVAL_S = 5.0


class AdapterWatch:
    """Every few seconds, in every replica: the first one to ask loads it."""

    def __init__(self, state: ReplicaState, adapters: Adapters) -> None:
        self._state, self._adapters = state, adapters
        self._said: dict[str, str] = {}  # the latest reason by version: each is logged once
        self._periodic = Periodic("the watch over adapters", INTERVAL_S, self.look)

    async def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()

    async def look(self) -> None:
        for policy in self._state.registry.in_use:
            if policy.artifact is None or policy.kind != "vllm":
                continue
            try:
                await self._adapters.serve(policy)
                self._said.pop(policy.version, None)
            except Problem as problem:
                if problem.rule != self._said.get(policy.version):
                    log.warning(
                        "a policy in use is not served", extra={"policy": policy.version, "error": str(problem)}
                    )
                self._said[policy.version] = problem.rule
