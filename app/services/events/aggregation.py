"""The folder: every few seconds what was reported becomes exposures and unit-days, so that a report finds little left
to fold.
"""

from __future__ import annotations

from datetime import timedelta

from app.core.settings import Settings
from app.runtime.periodic import Periodic
from app.store.database import Database
from app.store.fold import BATCH, fold

INTERVAL_S = 5.0  # a token's click often follows within it, and is then folded once


class Aggregation:
    """A background task of every replica; an advisory lock lets one of them fold at a time."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._elsewhere = timedelta(hours=settings.window_hours)
        self._periodic = Periodic("the fold", INTERVAL_S, lambda: self.catch_up(wait=False))

    async def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()

    async def catch_up(self, *, wait: bool = True) -> int:
        """Fold all that was waiting when called, a transaction a batch; returns the number of rows that left the
        queue.
        """
        folded = 0
        while (batch := await self._fold(wait=wait)) == BATCH:
            folded += batch
        return folded + batch

    async def _fold(self, *, wait: bool) -> int:
        async with self._database.begin() as connection:
            return await fold(connection, self._elsewhere, wait=wait)
