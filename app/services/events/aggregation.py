"""Aggregation: every few seconds new events are folded into exposures and unit-days, so that a report has little left
to fold.
"""

from __future__ import annotations

from datetime import timedelta

from app.core.settings import Settings
from app.runtime.periodic import Periodic
from app.runtime.single_flight import SingleFlight
from app.store.database import Database, Unavailable
from app.store.fold import BATCH, fold

INTERVAL_S = 5.0  # seconds: the click of a token often follows within it, and both are folded once


class Aggregation:
    """A background task of every replica; an advisory lock lets one of them fold at a time."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._elsewhere = timedelta(hours=settings.window_hours)
        self._periodic = Periodic("the fold", INTERVAL_S, lambda: self._fold_all(wait=False))
        self._shared = SingleFlight[None, int]("the fold", expected=Unavailable)

    async def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()
        await self._shared.stop()

    async def catch_up(self) -> int:
        """Fold all rows that wait at the call; returns the number of rows that left the queue.

        Concurrent reports share one fold, because each would hold a connection while it waits for the lock.
        """
        return await self._shared.join_next(None, lambda: self._fold_all(wait=True))

    async def _fold_all(self, *, wait: bool) -> int:
        """One transaction per batch."""
        folded = 0
        while (batch := await self._fold(wait=wait)) == BATCH:
            folded += batch
        return folded + batch

    async def _fold(self, *, wait: bool) -> int:
        async with self._database.background() as connection:
            return await fold(connection, self._elsewhere, wait=wait)
