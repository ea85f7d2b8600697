"""Checks the sample ratios of all running experiments, so that an operator is alerted before anybody reads a report."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo

from app.core.metrics import SAMPLE_RATIO_ALARM
from app.runtime.periodic import Periodic
from app.runtime.state import ReplicaState
from app.services.reports.counts import read_day_counts
from app.services.reports.outcome import sample_ratios
from app.services.reports.reading import ask
from app.store.database import Database

INTERVAL_S = 120.0
_UTC = ZoneInfo("UTC")


class RatioWatch:
    """Sets one gauge per running experiment, in every replica. The check is sequential: it may be repeated."""

    def __init__(self, database: Database, state: ReplicaState) -> None:
        self._database, self._state = database, state
        self._shown: set[str] = set()
        self._periodic = Periodic("the watch over sample ratios", INTERVAL_S, self.look)

    async def start(self) -> None:
        self._periodic.start()
        self._periodic.wake()

    async def stop(self) -> None:
        await self._periodic.stop()

    async def look(self) -> None:
        running = {experiment.name for layer in self._state.registry.running.values() for experiment in layer}
        for name in self._shown - running:
            SAMPLE_RATIO_ALARM.remove(name)
        self._shown &= running
        for name in sorted(running):
            SAMPLE_RATIO_ALARM.labels(name).set(await self._alarm(name))
            self._shown.add(name)

    async def _alarm(self, name: str) -> bool:
        async with self._database.background() as connection:
            question = await ask(connection, name, as_of=None, phase=None, view="valid", zone=_UTC)
            counts = await read_day_counts(connection, question)
        sums = counts.sums(len(question.arms))
        ratios = await asyncio.to_thread(sample_ratios, question, counts, sums)
        return any(ratio.alarm for ratio in ratios)
