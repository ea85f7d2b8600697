"""Requests by day, arm, source and latency: counted in the transaction of the serving log, and read by the guardrails
of reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from math import ceil, log
from typing import Any

from sqlalchemy import text

from abtest.events import Source
from app.store.database import AsyncConnection
from app.store.servings import ServingRow

_STEP = log(1.05)  # latencies are kept to within 5 %
_FASTEST_MS = 0.01

_ADD = text("""
    INSERT INTO request_days (phase_id, day, arm, source, latency, requests)
    VALUES (:phase, :day, :arm, :source, :latency, :requests)
    ON CONFLICT (phase_id, day, arm, source, latency)
    DO UPDATE SET requests = request_days.requests + excluded.requests""")
_READ = text("""
    SELECT arm, source, latency, CAST(sum(requests) AS bigint) AS requests FROM request_days
    WHERE phase_id = :phase AND day <= :last GROUP BY arm, source, latency""")


async def count_requests(connection: AsyncConnection, rows: Sequence[ServingRow]) -> None:
    """Count the requests among newly written rows: the first text of each answer, or the answer without one."""
    counts = Counter(
        (
            row.phase_id,
            datetime.fromtimestamp(row.at_ms / 1000, UTC).date(),
            row.arm,
            int(row.source),
            latency_step(row.latency_ms),
        )
        for row in rows
        if row.phase_id and row.position == 0
    )
    names = ("phase", "day", "arm", "source", "latency")
    # all writers use one order: replicas that count the same rows wait for each other and never deadlock
    if values := [{**dict(zip(names, key, strict=True)), "requests": count} for key, count in sorted(counts.items())]:
        await connection.execute(_ADD, values)


class Requests:
    """The requests of one arm by source and latency."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self.by_source = Counter[int]()
        self._by_latency = Counter[int]()
        for row in rows:
            self.by_source[row.source] += row.requests
            self._by_latency[row.latency] += row.requests

    @property
    def total(self) -> int:
        return self.by_source.total()

    @property
    def without_text(self) -> int:
        return self.by_source[Source.NONE]

    @property
    def fallback(self) -> int:
        return self.by_source[Source.ADVERTISER] + self.by_source[Source.TEMPLATE]

    def latency_ms(self, quantile: float) -> float | None:
        """The upper edge of the step in which the quantile lies; None without requests."""
        seen = 0
        for step, count in sorted(self._by_latency.items()):
            seen += count
            if seen >= quantile * self.total:
                return float(1.05**step)
        return None


def latency_step(milliseconds: float) -> int:
    """The step s whose range (1.05^(s-1), 1.05^s] holds the latency."""
    return ceil(log(max(milliseconds, _FASTEST_MS)) / _STEP - 1e-9)


async def requests_of(connection: AsyncConnection, phase_id: int, last: date) -> dict[int, Requests]:
    """Requests by arm, over the days up to and including the last."""
    rows = (await connection.execute(_READ, {"phase": phase_id, "last": last})).all()
    return {arm: Requests([row for row in rows if row.arm == arm]) for arm in {row.arm for row in rows}}
