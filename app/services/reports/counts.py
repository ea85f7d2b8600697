"""The counts of one phase for a report, read in one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from abtest.sums import FunnelSums
from app.services.reports.question import Question
from app.store.database import AsyncConnection
from app.store.quality import EventQuality, event_quality
from app.store.sums import DaySums, assigned_units, cutoff_day_sums, day_sums, funnel_sums, local_day_sums
from app.store.units import HeavyUnit, changed_arm, heavy_units

HEAVY_SHARE = 0.05  # share of an arm's impressions: a unit with more is reported


@dataclass(frozen=True, slots=True)
class PhaseCounts:
    """The counts of a phase. Units seen in two arms are in no sum."""

    rows: Sequence[DaySums]  # by UTC day, mature or not
    mature: Sequence[DaySums]  # by UTC day, in order of days
    assigned: Mapping[int, int] = field(default_factory=dict)
    local: Sequence[DaySums] = ()  # mature, by day of the report's time zone; empty for UTC
    heavy: Mapping[int, Sequence[HeavyUnit]] = field(default_factory=dict)
    changed: Mapping[int, int] = field(default_factory=dict)
    quality: Mapping[int, EventQuality] = field(default_factory=dict)

    @property
    def by_day(self) -> Sequence[DaySums]:
        """The mature counts by day in the time zone of the report."""
        return self.local or self.mature

    def sums(self, arms: int) -> list[FunnelSums]:
        """The mature sums over units, by arm."""
        return [funnel_sums(row for row in self.mature if row.arm == arm) for arm in range(arms)]


async def read_day_counts(connection: AsyncConnection, question: Question) -> PhaseCounts:
    """The counts by UTC day and the assigned units: enough for a verdict."""
    phase = question.phase.id
    rows = await day_sums(connection, phase, question.view)
    partial = await cutoff_day_sums(connection, phase, question.view, question.cutoff)
    return PhaseCounts(
        rows, mature_rows(question, rows, partial), await assigned_units(connection, phase, question.as_of)
    )


async def read_counts(connection: AsyncConnection, question: Question) -> PhaseCounts:
    """All counts of the report of one phase."""
    phase, view, cutoff = question.phase.id, question.view, question.cutoff
    counts = await read_day_counts(connection, question)
    sums = counts.sums(len(question.arms))
    suspects = {arm: HEAVY_SHARE * total.impressions for arm, total in enumerate(sums) if _may_hold_a_heavy_unit(total)}
    earlier = [other.id for other in question.experiment.phases if other.number < question.phase.number]
    return PhaseCounts(
        counts.rows,
        counts.mature,
        counts.assigned,
        local=await _local(connection, question, counts.mature),
        heavy=await heavy_units(connection, phase, view, cutoff, suspects) if suspects else {},
        changed=await changed_arm(connection, phase, earlier, question.as_of) if earlier else {},
        quality=await event_quality(connection, phase, question.as_of),
    )


async def _local(connection: AsyncConnection, question: Question, mature: Sequence[DaySums]) -> list[DaySums]:
    """The mature counts by day of the report's zone, where its days are not the UTC days."""
    if question.zone.key == "UTC" or not mature:
        return []
    first, last = mature[0].day - timedelta(days=1), question.cutoff_day + timedelta(days=1)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return await local_day_sums(connection, question.phase.id, question.view, question.cutoff, days, question.zone)


def mature_rows(question: Question, rows: Sequence[DaySums], partial: Sequence[DaySums]) -> list[DaySums]:
    """The whole days before the cutoff's day, and the part of that day before the cutoff."""
    return sorted([row for row in rows if row.day < question.cutoff_day] + list(partial), key=lambda row: row.day)


def _may_hold_a_heavy_unit(sums: FunnelSums) -> bool:
    """One unit with more than the share s of Σi adds over (s·Σi)² to Σi²: with less than that, no unit is heavy."""
    return sums.sum_ii > (HEAVY_SHARE * sums.impressions) ** 2
