"""What a report needs of a phase, summed in PostgreSQL: the arm-days, and the exposures of the cutoff's own day.

An arm-day says by how much a day raised the sums over the units of a cohort, so its rows give the sums over units at
every cutoff, their trend over the days, and the cohorts by first day. Units seen in two arms of the phase are in no sum.
Sums are floats and exact: whole numbers below 2^53.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import text

from abtest.sums import FunnelSums
from app.store.database import AsyncConnection

View = Literal["valid", "all"]
Dimension = Literal["locale", "industry", "platform", "source"]


@dataclass(frozen=True, slots=True)
class DaySums:
    """What one day added to an arm's sums over the units first shown it on first_day; negative where it takes units
    out again. Sums over days and cohorts add to FunnelSums.
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
    units_in_two_arms: int  # of the units first shown this arm that day; they are in none of the sums
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


# with b before a day and x on it, the day raises a unit's square by (b+x)² - b² = x·(2b+x), and a product likewise
_INCREMENTS = """
    sum(CAST(bi = 0 AND i > 0 AS integer)) AS n, sum(i) AS impressions, sum(c) AS clicks, sum(v) AS conversions,
    sum(CAST(i AS float8) * (2 * bi + i)) AS sum_ii, sum(CAST(c AS float8) * (2 * bc + c)) AS sum_cc,
    sum(CAST(v AS float8) * (2 * bv + v)) AS sum_vv, sum(CAST(i AS float8) * (bc + c) + CAST(bi AS float8) * c) AS sum_ic,
    sum(CAST(i AS float8) * (bv + v) + CAST(bi AS float8) * v) AS sum_iv,
    sum(CAST(c AS float8) * (bv + v) + CAST(bc AS float8) * v) AS sum_cv"""

_DAYS = """
    SELECT arm, first_day, day, {columns}, units_in_two_arms, impressions AS impressions_in_all
    FROM arm_days WHERE phase_id = :phase AND impressions > 0"""

_IN_TWO_ARMS = f"""
    SELECT arm, first_day, day, {_INCREMENTS}, 0 AS units_in_two_arms, sum(i_all) AS impressions_in_all
    FROM (
        SELECT arm, first_day, day, impressions AS i_all, {{valid}}impressions AS i, {{valid}}clicks AS c,
               {{valid}}conversions AS v, {{valid}}impressions_before AS bi, {{valid}}clicks_before AS bc,
               {{valid}}conversions_before AS bv
        FROM unit_days WHERE phase_id = :phase AND two_arms
    ) units
    GROUP BY arm, first_day, day"""

_CUTOFF_DAY = f"""
    SELECT arm, first_day, day, {_INCREMENTS}, 0 AS units_in_two_arms, sum(i_all) AS impressions_in_all
    FROM (
        SELECT arm, unit, CAST(count(*) AS integer) AS i_all, CAST(count(*) FILTER (WHERE {{counted}}) AS integer) AS i,
               CAST(count(*) FILTER (WHERE clicked AND {{counted}}) AS integer) AS c,
               CAST(count(*) FILTER (WHERE converted AND {{counted}}) AS integer) AS v
        FROM exposures
        WHERE phase_id = :phase AND impression_at >= :midnight AND impression_at < :cutoff AND NOT shifted
        GROUP BY arm, unit
    ) shown
    JOIN (
        SELECT arm, unit, first_day, day, {{valid}}impressions_before AS bi, {{valid}}clicks_before AS bc,
               {{valid}}conversions_before AS bv
        FROM unit_days WHERE phase_id = :phase AND day = :day AND NOT two_arms
    ) before USING (arm, unit)
    GROUP BY arm, first_day, day"""

_LOCAL_DAYS = f"""
    SELECT arm, first_day, day, {_INCREMENTS}
    FROM (
        SELECT arm, day, i, c, v, min(day) OVER so_far AS first_day, sum(i) OVER so_far - i AS bi,
               sum(c) OVER so_far - c AS bc, sum(v) OVER so_far - v AS bv
        FROM (
            SELECT arm, unit, width_bucket(impression_at, CAST(:midnights AS timestamptz[])) AS day,
                   count(*) FILTER (WHERE {{counted}}) AS i, count(*) FILTER (WHERE clicked AND {{counted}}) AS c,
                   count(*) FILTER (WHERE converted AND {{counted}}) AS v
            FROM exposures
            WHERE phase_id = :phase AND impression_at < :cutoff AND NOT shifted
                  AND unit NOT IN (SELECT unit FROM unit_days WHERE phase_id = :phase AND two_arms)
            GROUP BY arm, unit, day
        ) shown
        WINDOW so_far AS (PARTITION BY arm, unit ORDER BY day)
    ) units
    GROUP BY arm, first_day, day ORDER BY day"""

_VALID: Mapping[View, str] = {"valid": "valid_", "all": ""}
_COUNTED: Mapping[View, str] = {"valid": "NOT invalid", "all": "true"}


async def day_sums(connection: AsyncConnection, phase_id: int, view: View) -> list[DaySums]:
    """All that was counted of a phase so far, mature or not, less the units seen in two arms."""
    valid, phase = _VALID[view], {"phase": phase_id}
    days = text(_DAYS.format(columns=", ".join(f"{valid}{name} AS {name}" for name in _SUMMED)))
    rows = [DaySums(**row._mapping) for row in await connection.execute(days, phase)]
    if any(row.units_in_two_arms for row in rows):
        crossed = await connection.execute(text(_IN_TWO_ARMS.format(valid=valid)), phase)
        rows += [_taken_out(DaySums(**row._mapping)) for row in crossed]
    return rows


def _taken_out(row: DaySums) -> DaySums:
    taken = {name: -getattr(row, name) for name in (*_SUMMED, "impressions_in_all")}
    return replace(row, **taken)


async def cutoff_day_sums(connection: AsyncConnection, phase_id: int, view: View, cutoff: datetime) -> list[DaySums]:
    """What the cutoff's own UTC day had added before the cutoff; with the whole days before it, all that is mature."""
    day = cutoff.astimezone(UTC).date()
    midnight = datetime.combine(day, time(), UTC)
    if cutoff == midnight:
        return []
    statement = text(_CUTOFF_DAY.format(valid=_VALID[view], counted=_COUNTED[view]))
    values = {"phase": phase_id, "midnight": midnight, "cutoff": cutoff, "day": day}
    return [DaySums(**row._mapping) for row in await connection.execute(statement, values)]


async def local_day_sums(
    connection: AsyncConnection, phase_id: int, view: View, cutoff: datetime, days: Sequence[date], zone: ZoneInfo
) -> list[DaySums]:
    """The mature sums by local day of the impression. `days` run without a gap and hold every local day of the phase.

    Costs a pass over the phase's exposures: arm-days are kept by UTC day, which no other zone's days are made of.
    """
    midnights = [datetime.combine(day, time(), zone).astimezone(UTC) for day in days]
    values = {"phase": phase_id, "cutoff": cutoff, "midnights": midnights}
    rows = await connection.execute(text(_LOCAL_DAYS.format(counted=_COUNTED[view])), values)
    return [
        DaySums(
            arm=row.arm,
            first_day=days[row.first_day - 1],
            day=days[row.day - 1],
            **{name: float(getattr(row, name)) for name in _SUMMED},
            units_in_two_arms=0,
            impressions_in_all=0,
        )
        for row in rows
    ]


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
            WHERE phase_id = :phase AND impression_at < :cutoff AND NOT shifted AND {_COUNTED[view]}
                  AND unit NOT IN (SELECT unit FROM unit_days WHERE phase_id = :phase AND two_arms)
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
