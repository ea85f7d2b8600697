"""What an operator alerts on: jobs that wait, that failed, and how long ago each kind last succeeded."""

from __future__ import annotations

from app.core.metrics import JOBS, JOBS_LAST_SUCCESS, JOBS_OLDEST_QUEUED, JOBS_QUEUED, LAST_SUCCESS
from app.runtime.periodic import Periodic
from app.store import jobs as store
from app.store.database import Database

INTERVAL_S = 15.0
# the kinds of jobs that do what an operator watches; `relate export`, `backup` and `retention` count without a job too
TASKS = {
    "export": ("export",),
    "training": ("reward", "sft", "dpo", "grpo"),
    "backup": ("backup",),
    "retention": ("retention",),
}


class JobWatch:
    """Sets the gauges of jobs every few seconds, in every replica: each reports the whole deployment."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shown: set[tuple[str, str]] = set()
        self._periodic = Periodic("the watch over jobs", INTERVAL_S, self.look)

    async def start(self) -> None:
        self._periodic.start()
        self._periodic.wake()  # the gauges are there from the start

    async def stop(self) -> None:
        await self._periodic.stop()

    async def look(self) -> None:
        async with self._database.background() as connection:
            counts = await store.counts(connection)
            oldest = await store.oldest_queued(connection)
            succeeded = await store.last_success(connection)
            commands = await store.last_runs(connection)
        for kind, state in self._shown | counts.keys():
            JOBS.labels(kind, state).set(counts.get((kind, state), 0))
        self._shown |= counts.keys()
        JOBS_QUEUED.set(sum(number for (_, state), number in counts.items() if state == "queued"))
        JOBS_OLDEST_QUEUED.set(oldest)
        for kind, ended_at in succeeded.items():
            JOBS_LAST_SUCCESS.labels(kind).set(ended_at.timestamp())
        for task, kinds in TASKS.items():
            times = [succeeded[kind] for kind in kinds if kind in succeeded]
            times += [commands[task]] if task in commands else []
            LAST_SUCCESS.labels(task).set(max(times).timestamp() if times else 0)
