"""Summaries for the list of experiments: each report without guardrails, cached for a minute, and the progress."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from zoneinfo import ZoneInfo

from abtest.document import Report
from abtest.planning import days_to_go
from app.services.experiments.lifecycle import ExperimentRecord
from app.services.reports.reading import ask, summary
from app.store.database import Database

FRESH_S = 60.0  # seconds that a summary is cached

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an experiment, in units and days."""

    day: int  # day of the run, from 1
    days: int | None  # days until the planned units are reached at the current rate; None while it is unknown
    units: int  # mature, in all arms
    planned: int

    @property
    def reached(self) -> bool:
        return self.units >= self.planned


def progress(report: Report, started_at: datetime | None, ended_at: datetime | None = None) -> Progress:
    """The rate is that of the mature days: units divided by the days from the first to the last."""
    as_of = min(report.method.as_of, ended_at) if ended_at else report.method.as_of
    day = max(0, (as_of - (started_at or as_of)).days) + 1
    units, planned = sum(arm.units for arm in report.arms), report.method.planned_units
    left = None
    if report.daily:
        left = days_to_go(planned, units, units / ((report.daily[-1].day - report.daily[0].day).days + 1))
    return Progress(day, None if left is None else day + left, units, planned)


class Summaries:
    """The reports in the list of experiments. One instance per process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[int, tuple[float, Report]] = {}  # by phase id

    async def of(self, experiment: ExperimentRecord) -> Report:
        """The report of the latest phase as of now, without guardrails; at most a minute old."""
        phase_id = experiment.phases[-1].id
        read_at, report = self._kept.get(phase_id, (float("-inf"), None))
        if report is None or monotonic() - read_at > FRESH_S or report.state != experiment.state:
            read_at, report = monotonic(), await self._read(experiment.name)
            self._kept[phase_id] = read_at, report
        return report

    async def _read(self, name: str) -> Report:
        async with self._database.begin() as connection:
            question = await ask(connection, name, as_of=None, phase=None, view="valid", zone=_UTC)
            return await summary(connection, question)
