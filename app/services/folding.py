"""The folder: every few seconds what was reported becomes exposures and unit-days, so that a report finds little left to fold."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from app.settings import Settings
from app.store.database import Database, Unavailable
from app.store.fold import BATCH, fold

log = logging.getLogger(__name__)

INTERVAL_S = 3.0


class Folding:
    """A background task of every replica; an advisory lock lets one of them fold at a time."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._elsewhere = timedelta(hours=settings.window_hours)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="folding")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def catch_up(self, *, wait: bool = True) -> int:
        """Fold all that was waiting when called, a transaction a batch; returns the number of rows that left the queue."""
        folded = 0
        while (batch := await self._fold(wait=wait)) == BATCH:
            folded += batch
        return folded + batch

    async def _fold(self, *, wait: bool) -> int:
        async with self._database.begin() as connection:
            return await fold(connection, self._elsewhere, wait=wait)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await self.catch_up(wait=False)
            except Unavailable as error:
                log.warning("the fold waits for the database", extra={"error": str(error).splitlines()[0]})
