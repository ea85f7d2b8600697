"""The report page of one experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from abtest.document import CohortPoint, DayPoint, MetricAnswer, Report, VerdictAnswer
from app.container import ContainerDep
from app.core.problems import Problem
from app.pages.assets import PLOTLY
from app.pages.experiments import TONES
from app.pages.figures import Figure, lift_by_first_day, lift_over_time
from app.pages.frame import ANALYSTS, HOME, PageRoute, Viewer, base_url, page, viewer
from app.pages.guardrails import guardrail_rows
from app.services.experiments import lifecycle
from app.services.reports import breakdowns, reading
from app.services.reports.summaries import progress
from app.store.sums import Dimension, View

router = APIRouter(prefix=HOME, include_in_schema=False, route_class=PageRoute)

ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
)

_TREND = 3  # days: fewer points show no trend and are not plotted


class ReportForm:
    """The fields of the page's form. A form sends empty fields and local times, which the API rejects."""

    def __init__(
        self,
        as_of: Annotated[str, Query(max_length=40)] = "",
        tz: Annotated[str, Query(max_length=64)] = "UTC",
        phase: Annotated[int | None, Query(ge=1, le=10_000)] = None,
        view: Annotated[View, Query()] = "valid",
        by: Annotated[Dimension | None, Query()] = None,
    ) -> None:
        self.phase, self.view, self.by = phase, view, by
        try:
            self.zone = ZoneInfo(tz or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise Problem(
                422, "unknown_zone", f"{tz!r} is not a time zone: write it like Asia/Tokyo", field="tz", value=tz
            ) from error
        self.as_of = self._moment(as_of.strip()) if as_of.strip() else None

    def _moment(self, given: str) -> datetime:
        """A time with its offset, or without one in the zone of the page."""
        try:
            found = datetime.fromisoformat(given)
        except ValueError as error:
            problem = f"{given!r} is not a time: write it like 2026-11-22T08:00"
            raise Problem(422, "unreadable_time", problem, field="as_of", value=given) from error
        if not 2000 <= found.year < 2200:
            raise Problem(422, "unreadable_time", f"{given!r} lies outside 2000 to 2199", field="as_of", value=given)
        return found if found.tzinfo else found.replace(tzinfo=self.zone)

    def query(self, **over: object) -> str:
        """These fields as a query string, so that every state of the page has a link."""
        chosen = {
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "tz": self.zone.key if self.zone.key != "UTC" else None,
            "phase": self.phase,
            "view": self.view if self.view != "valid" else None,
            "by": self.by,
        } | over
        given = {name: value for name, value in chosen.items() if value is not None}
        return f"?{urlencode(given)}" if given else ""


@dataclass(frozen=True, slots=True)
class TreatmentView:
    """One treatment compared with the control, as the page shows it."""

    number: int  # the number of the arm: makes element ids unique
    arm: str
    verdict: VerdictAnswer
    tone: str
    metrics: Sequence[MetricAnswer]
    daily: Sequence[DayPoint]
    cohorts: Sequence[CohortPoint]
    over_time: Figure | None
    by_first_day: Figure | None


@router.get("/{name}")
async def report(
    name: str,
    request: Request,
    container: ContainerDep,
    who: Annotated[Viewer, Depends(viewer(*ANALYSTS))],
    asked: Annotated[ReportForm, Depends(ReportForm)],
) -> Response:
    await container.aggregation.catch_up()
    async with container.database.begin() as connection:
        question = await reading.ask(
            connection, name, as_of=asked.as_of, phase=asked.phase, view=asked.view, zone=asked.zone
        )
        found = await reading.report(connection, question)
        broken_down = await breakdowns.breakdown(connection, question, asked.by) if asked.by else None
        history = await lifecycle.history(connection, name)
    compared = _comparisons(found)
    context: dict[str, Any] = {
        "report": found,
        "experiment": question.experiment,
        "phase": question.phase,
        "asked": asked,
        "progress": progress(found, question.phase.started_at, question.phase.ended_at),
        "comparisons": compared,
        "counted": any(arm.units for arm in found.arms),
        "guardrails": guardrail_rows(found.guardrails),
        "breakdown": broken_down,
        "history": history,
        "base_url": base_url(request, container.settings),
        "plotly": PLOTLY if any(comparison.over_time for comparison in compared) else None,
        "zones": ZONES,
    }
    return page(request, "report.html", who, **context)


def _comparisons(found: Report) -> list[TreatmentView]:
    return [_comparison(found, number, verdict) for number, verdict in enumerate(found.verdicts, start=1)]


def _comparison(found: Report, number: int, verdict: VerdictAnswer) -> TreatmentView:
    daily = [point for point in found.daily if point.arm == verdict.arm]
    cohorts = [point for point in found.cohorts if point.arm == verdict.arm]
    return TreatmentView(
        number=number,
        arm=verdict.arm,
        verdict=verdict,
        tone=TONES.get(verdict.status, ""),
        metrics=[metric for metric in found.metrics if metric.arm == verdict.arm],
        daily=daily,
        cohorts=cohorts,
        over_time=lift_over_time([point.day for point in daily], daily) if len(daily) >= _TREND else None,
        by_first_day=lift_by_first_day([point.first_day for point in cohorts], cohorts)
        if len(cohorts) >= _TREND
        else None,
    )
