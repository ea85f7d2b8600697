"""The sums of a phase for a report, computed in PostgreSQL: the arm-days, and the exposures of the cutoff's day.

An arm-day holds by how much a day raised the sums over the units of a cohort, so its rows give the sums over units at
every cutoff, their trend over the days, and the cohorts by first day. Units seen in two arms of the phase are in no
sum. Sums are floats and exact: whole numbers below 2^53.
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
from app.store.statements import statement

View = Literal["valid", "all"]
Dimension = Literal["locale", "industry", "platform", "source"]


@dataclass(frozen=True, slots=True)
class DaySums:
    """What one day added to an arm's sums over the units first shown the arm on first_day; negative where units are
    removed. Sums over days and cohorts add to FunnelSums.
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
    units_in_two_arms: int  # units first shown this arm that day and another arm later; excluded from all sums
    impressions_in_all: int  # valid or not


_SUMMED = tuple(field.name for field in fields(FunnelSums))


class RunningSums:
    """Adds up the increments of days. Only the total is a sum over units; the increments of a single day are not."""

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
    """The sums over units of all rows."""
    running = RunningSums()
    for row in rows:
        running.add(row)
    return running.sums


_INCREMENTS = statement("unit_increments")
_DAYS = """
    SELECT arm, first_day, day, {columns}, units_in_two_arms, impressions AS impressions_in_all
    FROM arm_days WHERE phase_id = :phase AND impressions > 0"""

_VALID: Mapping[View, str] = {"valid": "valid_", "all": ""}
_COUNTED: Mapping[View, str] = {"valid": "NOT invalid", "all": "true"}


async def day_sums(connection: AsyncConnection, phase_id: int, view: View) -> list[DaySums]:
    """All counts of a phase so far, mature or not, without the units seen in two arms."""
    valid, phase = _VALID[view], {"phase": phase_id}
    days = text(_DAYS.format(columns=", ".join(f"{valid}{name} AS {name}" for name in _SUMMED)))
    rows = [DaySums(**row._mapping) for row in await connection.execute(days, phase)]
    if any(row.units_in_two_arms for row in rows):
        crossed = await connection.execute(
            text(statement("two_arm_sums").format(increments=_INCREMENTS, valid=valid)), phase
        )
        rows += [_taken_out(DaySums(**row._mapping)) for row in crossed]
    return rows


def _taken_out(row: DaySums) -> DaySums:
    taken = {name: -getattr(row, name) for name in (*_SUMMED, "impressions_in_all")}
    return replace(row, **taken)


async def cutoff_day_sums(connection: AsyncConnection, phase_id: int, view: View, cutoff: datetime) -> list[DaySums]:
    """What the UTC day of the cutoff added before the cutoff. With the whole days before it, this is all that is
    mature.
    """
    day = cutoff.astimezone(UTC).date()
    midnight = datetime.combine(day, time(), UTC)
    if cutoff == midnight:
        return []
    summed = statement("cutoff_day_sums").format(increments=_INCREMENTS, valid=_VALID[view], counted=_COUNTED[view])
    values = {"phase": phase_id, "midnight": midnight, "cutoff": cutoff, "day": day}
    return [DaySums(**row._mapping) for row in await connection.execute(text(summed), values)]


async def local_day_sums(
    connection: AsyncConnection, phase_id: int, view: View, cutoff: datetime, days: Sequence[date], zone: ZoneInfo
) -> list[DaySums]:
    """The mature sums by local day of the impression. `days` run without a gap and hold every local day of the phase.

    Scans the exposures of the phase: arm-days are stored by UTC day, from which other days cannot be computed.
    """
    midnights = [datetime.combine(day, time(), zone).astimezone(UTC) for day in days]
    values = {"phase": phase_id, "cutoff": cutoff, "midnights": midnights}
    summed = statement("local_day_sums").format(increments=_INCREMENTS, counted=_COUNTED[view])
    rows = await connection.execute(text(summed), values)
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
    """Units that had requested a text by then, by the arm they were assigned to."""
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
    summed = statement("breakdown_sums").format(
        part=_COLUMNS[dimension],
        texts="" if dimension == "source" else "LEFT JOIN texts ON texts.id = text_id",
        counted=_COUNTED[view],
    )
    rows = await connection.execute(text(summed), {"phase": phase_id, "cutoff": cutoff})
    return {(row.part, row.arm): FunnelSums(row.n, *(float(number) for number in row[3:])) for row in rows}


def cutoff_of(as_of: datetime, window: timedelta, lateness: timedelta) -> datetime:
    """Impressions before it are mature: impression + window + lateness <= as_of, so the cutoff itself is one
    microsecond later.
    """
    return as_of - window - lateness + timedelta(microseconds=1)
