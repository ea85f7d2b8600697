"""Gives jobs of dead workers to live ones. The queue does not do that by itself."""

from __future__ import annotations

import logging
from datetime import timedelta
from time import monotonic
from typing import Any

from sqlalchemy import func

from app.runtime.periodic import Periodic
from app.services.jobs.requests import requeue, step_ended
from app.store import jobs as store
from app.store.database import AsyncConnection, Database
from app.store.job_queue import forget

log = logging.getLogger(__name__)

INTERVAL_S = 5.0
SILENT_S = 20.0  # ten heartbeats
MOST_LOST = 5  # workers that one job may lose before it is held to be what kills them


class Sweeper:
    """Every few seconds, in every worker: row locks keep two of them from taking one job."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heard: float | None = None  # since when every look reached the database
        self._looked = float("-inf")
        self._periodic = Periodic("the sweeper of jobs", INTERVAL_S, self.look)

    async def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()

    async def look(self) -> None:
        """Requeue what is lost. After an outage of the database live workers get time to be heard of first."""
        now = monotonic()
        if self._heard is None or now - self._looked > SILENT_S:
            self._heard = now
        try:
            async with self._database.background() as connection:
                silent = timedelta(seconds=SILENT_S)
                patient = now - self._heard >= SILENT_S
                for job in await store.lost(connection, silent) if patient else ():
                    if job.lost >= MOST_LOST:
                        await _give_up(connection, job)
                        continue
                    log.warning("job is taken from a dead worker", extra={"job": str(job.id), "worker": job.worker})
                    await requeue(connection, job, lost=job.lost + 1)
                for job in await store.unqueued(connection, silent):
                    await requeue(connection, job)
        except Exception:
            self._heard = None
            raise
        self._looked = monotonic()


async def _give_up(connection: AsyncConnection, job: Any) -> None:
    error = f"{job.lost + 1} workers died while they ran it: see its log, then retry it"
    await forget(connection, job.queue_id)
    await store.change(connection, job.id, state="failed", error=error, ended_at=func.now(), identity=None)
    if job.parent_id is not None:
        await step_ended(connection, job, "failed", error)
