"""The parameters of a report: experiment and phase, time, view and time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from abtest.attribution import LATENESS
from app.services.experiments.lifecycle import ArmRecord, ExperimentRecord, PhaseRecord
from app.store.sums import View, cutoff_of


@dataclass(frozen=True, slots=True)
class Question:
    """One report: an experiment's phase, as of a moment, in one view; days and times are shown in the zone."""

    experiment: ExperimentRecord
    phase: PhaseRecord
    as_of: datetime
    view: View
    zone: ZoneInfo

    @property
    def window(self) -> timedelta:
        return timedelta(hours=self.experiment.window_hours)

    @property
    def cutoff(self) -> datetime:
        """Impressions before it are mature."""
        return cutoff_of(self.as_of, self.window, LATENESS)

    @property
    def cutoff_day(self) -> date:
        """The UTC day of the cutoff: the only day that is counted in part."""
        return self.cutoff.astimezone(UTC).date()

    @property
    def arms(self) -> tuple[ArmRecord, ...]:
        return self.phase.arms

    @property
    def planned_units(self) -> int:
        return self.experiment.planned_units
