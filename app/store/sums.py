"""What a report needs of a phase, summed in PostgreSQL: the arm-days, and the exposures of the cutoff's own day.

An arm-day says by how much a day raised the sums over the units of a cohort, so its rows give the sums over units at
every cutoff, their course over the days, and the cohorts by first day. Sums are floats and exact: whole numbers below
2^53.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from sqlalchemy import text

from abtest.sums import FunnelSums
from app.store.database import AsyncConnection

View = Literal["valid", "all"]
Dimension = Literal["locale", "industry", "platform", "source"]


@dataclass(frozen=True, slots=True)
class DaySums:
    """What one day added to an arm's sums over the units first shown it on first_day. Sums over days and cohorts add
    to FunnelSums.
    """

    arm: int
    first_day: date
    day: date
    n: float  # units whose first impression in this view came that day
    impressions: float
    clicks: float
    conversions: float
    sum_ii: float
    sum_cc: float
    sum_vv: float
    sum_ic: float
    sum_iv: float
    sum_cv: float
    units_in_two_arms: int  # of the units first shown this arm that day
    impressions_in_all: int  # valid or not


_SUMMED = tuple(field.name for field in fields(FunnelSums))


class RunningSums:
    """Adds up what days added. Only a total is the sums of units: a single day's increments are not."""

    def __init__(self) -> None:
        self._totals = dict.fromkeys(_SUMMED, 0.0)

    def add(self, row: DaySums) -> None:
        for name in _SUMMED:
            self._totals[name] += getattr(row, name)

    @property
    def sums(self) -> FunnelSums:
        n, *rest = self._totals.values()
        return FunnelSums(int(n), *rest)


def funnel_sums(rows: Iterable[DaySums]) -> FunnelSums:
    """The sums over units of all that the rows added."""
    running = RunningSums()
    for row in rows:
        running.add(row)
    return running.sums


_INCREMENTS = """
    sum(CAST(bi = 0 AND i > 0 AS integer)) AS n, sum(i) AS impressions, sum(c) AS clicks, sum(v) AS conversions,
    sum(CAST(i AS float8) * (2 * bi + i)) AS sum_ii, sum(CAST(c AS float8) * (2 * bc + c)) AS sum_cc,
    sum(CAST(v AS float8) * (2 * bv + v)) AS sum_vv, sum(CAST(i AS float8) * (bc + c) + CAST(bi AS float8) * c) AS sum_ic,
    sum(CAST(i AS float8) * (bv + v) + CAST(bi AS float8) * v) AS sum_iv,
    sum(CAST(c AS float8) * (bv + v) + CAST(bc AS float8) * v) AS sum_cv,
    count(*) FILTER (WHERE two_arms AND day = first_day) AS units_in_two_arms, sum(i_all) AS impressions_in_all"""

_DAYS = """
    SELECT arm, first_day, day, {columns}, units_in_two_arms, impressions AS impressions_in_all
    FROM arm_days WHERE phase_id = :phase AND impressions > 0"""

_CUTOFF_DAY = f"""
    SELECT arm, first_day, day, {_INCREMENTS}
    FROM (
        SELECT arm, unit, CAST(count(*) AS integer) AS i_all, CAST(count(*) FILTER (WHERE {{counted}}) AS integer) AS i,
               CAST(count(*) FILTER (WHERE clicked AND {{counted}}) AS integer) AS c,
               CAST(count(*) FILTER (WHERE converted AND {{counted}}) AS integer) AS v
        FROM exposures WHERE phase_id = :phase AND impression_at >= :midnight AND impression_at < :cutoff GROUP BY arm, unit
    ) shown
    JOIN (
        SELECT arm, unit, first_day, day, two_arms, {{valid}}impressions_before AS bi, {{valid}}clicks_before AS bc,
               {{valid}}conversions_before AS bv
        FROM unit_days WHERE phase_id = :phase AND day = :day
    ) before USING (arm, unit)
    GROUP BY arm, first_day, day"""

_DAYS_OF: Mapping[View, Any] = {
    "valid": text(_DAYS.format(columns=", ".join(f"valid_{name} AS {name}" for name in _SUMMED))),
    "all": text(_DAYS.format(columns=", ".join(_SUMMED))),
}
_CUTOFF_DAY_OF: Mapping[View, Any] = {
    "valid": text(_CUTOFF_DAY.format(valid="valid_", counted="NOT invalid")),
    "all": text(_CUTOFF_DAY.format(valid="", counted="true")),
}


async def day_sums(connection: AsyncConnection, phase_id: int, view: View) -> list[DaySums]:
    """All that was counted of a phase so far, mature or not."""
    return [DaySums(**row._mapping) for row in await connection.execute(_DAYS_OF[view], {"phase": phase_id})]


async def cutoff_day_sums(connection: AsyncConnection, phase_id: int, view: View, cutoff: datetime) -> list[DaySums]:
    """What the cutoff's own UTC day had added before the cutoff; with the whole days before it, all that is mature."""
    day = cutoff.astimezone(UTC).date()
    midnight = datetime.combine(day, time(), UTC)
    if cutoff == midnight:
        return []
    values = {"phase": phase_id, "midnight": midnight, "cutoff": cutoff, "day": day}
    return [DaySums(**row._mapping) for row in await connection.execute(_CUTOFF_DAY_OF[view], values)]


async def assigned_units(connection: AsyncConnection, phase_id: int, as_of: datetime) -> dict[int, int]:
    """Units that asked for a text by then, by the arm they were assigned to."""
    counted = text(
        "SELECT arm, count(*) AS units FROM assigned_units WHERE phase_id = :phase AND first_at <= :as_of GROUP BY arm"
    )
    return {row.arm: row.units for row in await connection.execute(counted, {"phase": phase_id, "as_of": as_of})}


_COLUMNS: Mapping[Dimension, str] = {
    "locale": "texts.locale",
    "industry": "texts.industry",
    "platform": "texts.platform",
    "source": "CASE WHEN source IN (3, 4) THEN 'fallback' WHEN source = 2 THEN 'fresh' ELSE 'pool' END",
}


async def breakdown_sums(
    connection: AsyncConnection, phase_id: int, view: View, cutoff: datetime, dimension: Dimension
) -> dict[tuple[str, int], FunnelSums]:
    """Mature sums by a property of the text, (value, arm) → sums over units. A unit that saw two values is one unit in
    each.
    """
    joined = "" if dimension == "source" else "LEFT JOIN texts ON texts.id = text_id"
    statement = text(f"""
        SELECT part, arm, count(*) AS n, sum(i) AS impressions, sum(c) AS clicks, sum(v) AS conversions, sum(i * i) AS sum_ii,
               sum(c * c) AS sum_cc, sum(v * v) AS sum_vv, sum(i * c) AS sum_ic, sum(i * v) AS sum_iv, sum(c * v) AS sum_cv
        FROM (
            SELECT coalesce({_COLUMNS[dimension]}, 'unknown') AS part, arm, unit, count(*) AS i, count(*) FILTER (WHERE clicked) AS c,
                   count(*) FILTER (WHERE converted) AS v
            FROM exposures {joined}
            WHERE phase_id = :phase AND impression_at < :cutoff {"AND NOT invalid" if view == "valid" else ""}
            GROUP BY part, arm, unit
        ) units
        GROUP BY part, arm ORDER BY part, arm""")
    rows = await connection.execute(statement, {"phase": phase_id, "cutoff": cutoff})
    return {(row.part, row.arm): FunnelSums(row.n, *(float(number) for number in row[3:])) for row in rows}


def cutoff_of(as_of: datetime, window: timedelta, lateness: timedelta) -> datetime:
    """Impressions before it are mature: impression + window + lateness <= as_of, so the cutoff itself is one
    microsecond later.
    """
    return as_of - window - lateness + timedelta(microseconds=1)
