"""The serving log: a bounded queue that is written after the answers, by COPY in batches.

A crash may lose rows of the log, which only the reward model needs. It never loses events: a token carries everything
that attribution needs. Lost rows are counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from datetime import UTC, date, datetime

from psycopg.errors import UniqueViolation

from app.core.metrics import SERVINGS_LOST
from app.runtime.periodic import Periodic
from app.store.database import Database, Unavailable
from app.store.requests import count_requests
from app.store.servings import ServingRow, note_use, write_assigned, write_servings

log = logging.getLogger(__name__)

CAPACITY = 200_000  # waiting rows; above it the oldest are dropped
BATCH = 5_000
INTERVAL_S = 0.5
FLUSH_S = 5.0  # rows of one batch
KNOWN_TEXTS = 200_000  # texts whose use today this process has recorded
KNOWN_UNITS = 500_000  # (phase, unit) pairs that this process has written


class ServingLog:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows: deque[ServingRow] = deque()
        self._batch: list[ServingRow] = []  # taken from the queue and perhaps not committed: retried unchanged
        self._today, self._used_today = date.min, set[bytes]()
        self._known: OrderedDict[tuple[int, bytes], None] = OrderedDict()
        self._flushing = asyncio.Lock()  # the timer, an erasure and the shutdown may all call it
        self._periodic = Periodic("the serving log", INTERVAL_S, self.flush)

    def add(self, row: ServingRow) -> None:
        self._rows.append(row)
        if len(self._rows) > CAPACITY:
            self._rows.popleft()
            SERVINGS_LOST.inc()

    @property
    def waiting(self) -> int:
        return len(self._batch) + len(self._rows)

    async def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        """Write the remaining rows, then stop."""
        await self._periodic.stop()
        await self.flush()
        if self.waiting:
            SERVINGS_LOST.inc(self.waiting)

    async def flush(self) -> None:
        """Write all waiting rows. When the database is unavailable they stay in the queue."""
        async with self._flushing:
            await self._write()

    async def _write(self) -> None:
        while self._batch or self._rows:
            self._batch = self._batch or [self._rows.popleft() for _ in range(min(BATCH, len(self._rows)))]
            new, used = self._new_units(self._batch), self._newly_used(self._batch)
            try:
                async with self._database.background(FLUSH_S) as connection:
                    await write_servings(connection, self._batch)
                    await count_requests(connection, self._batch)
                    if used:
                        await note_use(connection, sorted(used))
                    await write_assigned(
                        connection,
                        [
                            (phase, unit, arm, datetime.fromtimestamp(at / 1000, UTC))
                            for (phase, unit), (arm, at) in new.items()
                        ],
                    )
            except Unavailable as error:
                log.warning(
                    "serving log waits for the database",
                    extra={"rows": self.waiting, "error": str(error).partition("\n")[0]},
                )
                return
            except UniqueViolation:
                log.info(
                    "a batch of servings had been committed before its connection broke",
                    extra={"rows": len(self._batch)},
                )
            self._batch = []
            self._used_today |= used
            for pair in new:
                self._known[pair] = None
            while len(self._known) > KNOWN_UNITS:
                self._known.popitem(last=False)

    def _newly_used(self, batch: list[ServingRow]) -> set[bytes]:
        """Texts that this process serves for the first time today."""
        today = datetime.now(UTC).date()
        if today != self._today or len(self._used_today) > KNOWN_TEXTS:
            self._today, self._used_today = today, set()
        return {row.text_id for row in batch if row.text_id is not None} - self._used_today

    def _new_units(self, batch: list[ServingRow]) -> dict[tuple[int, bytes], tuple[int, int]]:
        new: dict[tuple[int, bytes], tuple[int, int]] = {}
        for row in batch:
            if row.phase_id and (pair := (row.phase_id, row.unit)) not in self._known:
                new.setdefault(pair, (row.arm, row.at_ms))
        return new
