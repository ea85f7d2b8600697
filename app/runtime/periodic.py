"""A step that is repeated in the background: the serving log, the fold, the revalidation, the poll of revisions.

Stopping waits for the current step. A task that is cancelled in the middle of a transaction leaves a connection that
cannot roll back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from app.store.database import Unavailable

log = logging.getLogger(__name__)

STOP_S = 30.0  # a step that takes longer to end is cancelled


class Periodic:
    """Runs `step` every `interval_s`, or sooner when woken. When the database is unavailable it logs this and tries
    again.
    """

    def __init__(self, name: str, interval_s: float, step: Callable[[], Awaitable[object]]) -> None:
        self._name, self._interval_s, self._step = name, interval_s, step
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    def wake(self) -> None:
        self._wake.set()

    async def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, STOP_S)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._interval_s)
            if self._stopping:
                return
            self._wake.clear()
            try:
                await self._step()
            except Unavailable as error:
                log.warning("%s waits for the database", self._name, extra={"error": str(error).partition("\n")[0]})
            except Exception:  # an error in one step must not end the repetition
                log.exception("%s failed; it continues", self._name)
