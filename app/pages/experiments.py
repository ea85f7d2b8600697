"""The start page: running experiments with their results, drafts, and finished experiments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from abtest.document import MetricAnswer, Report, VerdictAnswer
from app.container import ContainerDep
from app.pages.frame import ANALYSTS, HOME, PageRoute, Viewer, page, viewer
from app.services.experiments import lifecycle
from app.services.experiments.lifecycle import ExperimentRecord
from app.services.reports.summaries import Progress, progress
from app.store import canaries
from app.store.database import AsyncConnection

router = APIRouter(prefix=HOME, include_in_schema=False, route_class=PageRoute)

_BATCH = 200
_FINISHED = 20  # the latest ones are listed with their result, the others by name

TONES = {"better": "good", "worse": "bad"}  # a decided result; everything else stays grey


@dataclass(frozen=True, slots=True)
class Line:
    """One treatment of an experiment in the list."""

    verdict: VerdictAnswer
    ctcvr: MetricAnswer
    trend: list[float | None]
    tone: str


@dataclass(frozen=True, slots=True)
class Entry:
    experiment: ExperimentRecord
    report: Report
    progress: Progress
    lines: list[Line]
    canary: Any | None = None  # the row, where this is the experiment of one


@router.get("")
async def listing(
    request: Request, container: ContainerDep, who: Annotated[Viewer, Depends(viewer(*ANALYSTS))]
) -> Response:
    async with container.database.begin() as connection:
        found = await _all(connection)
        ramps = await canaries.of_experiments(connection, [experiment.name for experiment in found])
    by_state: dict[str, list[ExperimentRecord]] = {"running": [], "draft": [], "stopped": []}
    for experiment in reversed(found):
        by_state[experiment.state].append(experiment)
    finished = sorted(by_state["stopped"], key=lambda stopped: stopped.stopped_at or stopped.created_at, reverse=True)
    context: dict[str, Any] = {
        "running": [
            _entry(running, await container.summaries.of(running), ramps.get(running.name))
            for running in by_state["running"]
        ],
        "drafts": by_state["draft"],
        "finished": [
            _entry(stopped, await container.summaries.of(stopped), ramps.get(stopped.name))
            for stopped in finished[:_FINISHED]
        ],
        "older": finished[_FINISHED:],
        "now": datetime.now(UTC),
    }
    return page(request, "experiments.html", who, **context)


async def _all(connection: AsyncConnection) -> list[ExperimentRecord]:
    found: list[ExperimentRecord] = []
    while batch := await lifecycle.listed(connection, after=found[-1].id if found else 0, limit=_BATCH):
        found += batch
    return found


def _entry(experiment: ExperimentRecord, report: Report, canary: Any | None) -> Entry:
    ctcvr = {metric.arm: metric for metric in report.metrics if metric.metric == "ctcvr"}
    lines = [
        Line(
            verdict,
            ctcvr[verdict.arm],
            [point.value for point in report.daily if point.arm == verdict.arm],
            TONES.get(verdict.status, ""),
        )
        for verdict in report.verdicts
    ]
    phase = experiment.phases[-1]
    return Entry(experiment, report, progress(report, phase.started_at, phase.ended_at), lines, canary)
