"""The pages of jobs: chains as boxes, one job with its curves and its log; forms start, cancel and retry."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import yaml  # type: ignore[import-untyped]
from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from app.container import Container, ContainerDep
from app.core.problems import Problem
from app.core.settings import Settings
from app.http.auth import actor
from app.pages.assets import PLOTLY
from app.pages.frame import PageRoute, Viewer, page, viewer
from app.pages.job_run import Panel, SampledText, latest_texts, panels
from app.services.jobs import requests
from app.services.jobs.job_log import tail
from app.services.jobs.kinds import KINDS, RETRAIN
from app.services.jobs.plans import folder_of
from app.services.jobs.triggers import fresh_conversions
from app.store import jobs as store

HOME = "/pages/jobs"
router = APIRouter(prefix=HOME, include_in_schema=False, route_class=PageRoute)

Operator = Annotated[Viewer, Depends(viewer("ops"))]
_SHOWN = 50
_LOG_LINES = 60
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A job in the list, with its steps where it is a chain."""

    job: Any
    steps: list[Any]


def took(job: Any, now: datetime) -> str:
    """How long a job has run or ran: 41 s, 12 min, 3 h 5 min."""
    if job.started_at is None:
        return ""
    seconds = max(0, int(((job.ended_at or now) - job.started_at) / timedelta(seconds=1)))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@router.get("")
async def listing(
    request: Request, container: ContainerDep, who: Operator, before: Annotated[int, Query(ge=1, le=_LAST)] = _LAST
) -> Response:
    return await _listing(request, container, who, before=before)


async def _listing(
    request: Request,
    container: Container,
    who: Viewer,
    *,
    before: int = _LAST,
    refused: str = "",
    kind: str = RETRAIN,
    parameters: str = "",
    status: int = 200,
) -> Response:
    async with container.database.begin() as connection:
        rows = await store.listed(connection, before=before, limit=_SHOWN + 1)
        entries = [
            Entry(row, list(await store.steps(connection, row.id)) if row.kind == RETRAIN else [])
            for row in rows[:_SHOWN]
        ]
        fresh = await fresh_conversions(connection, container.settings)
    context = {
        "entries": entries,
        "more": entries[-1].job.number if len(rows) > _SHOWN else None,
        "schedules": _schedules(container.settings),
        "fresh": fresh,
        "wanted": container.settings.retrain_conversions,
        "kinds": list(KINDS),
        "values": {"kind": kind, "parameters": parameters},
        "refused": refused,
        "took": took,
        "now": datetime.now(UTC),
        "busy": any(entry.job.state in store.UNFINISHED for entry in entries),
    }
    return page(request, "jobs.html", who, status=status, **context)


def _schedules(settings: Settings) -> list[tuple[str, str, str]]:
    """Kind, cron line, and the setting that changes it."""
    return [
        (RETRAIN, settings.retrain_cron, "RELATE_RETRAIN_CRON"),
        ("canary", settings.canary_cron, "RELATE_CANARY_CRON"),
        ("retention", settings.retention_cron, "RELATE_RETENTION_CRON"),
        ("backup", settings.backup_cron, "RELATE_BACKUP_CRON"),
    ]


@router.post("")
async def start(
    request: Request,
    container: ContainerDep,
    who: Operator,
    kind: Annotated[str, Form(max_length=40)],
    parameters: Annotated[str, Form(max_length=20_000)] = "",
) -> Response:
    try:
        wanted = _parameters(parameters)
        job, _ = await requests.start(
            container.database, container.settings, kind, wanted, reason="manual", actor=actor(who.key)
        )
    except Problem as problem:
        return await _listing(
            request, container, who, refused=problem.detail, kind=kind, parameters=parameters, status=problem.status
        )
    return RedirectResponse(f"{HOME}/{job.id}", 303)


def _parameters(written: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(written) or {}
    except yaml.YAMLError as error:
        raise Problem(422, "parameters", f"parameters: this is no YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise Problem(422, "parameters", "parameters: write one per line, as name: value")
    return content


@router.get("/{job_id}")
async def show(request: Request, job_id: UUID, container: ContainerDep, who: Operator) -> Response:
    async with container.database.begin() as connection:
        job = await store.find(connection, job_id)
        if job is None:
            raise requests.unknown(job_id)
        chain = await store.find(connection, job.parent_id) if job.parent_id else job
        assert chain is not None
        steps = list(await store.steps(connection, chain.id))
    data_dir = container.settings.data_dir
    run = folder_of(data_dir, job.id) / "run"
    trained: list[Panel] = await asyncio.to_thread(panels, run) if job.kind == "grpo" else []
    step, texts = await asyncio.to_thread(latest_texts, run) if job.kind == "grpo" else (0, list[SampledText]())
    first = next((step for step in steps if step.state != "succeeded"), None)
    context = {
        "job": job,
        "chain": chain,
        "steps": steps,
        "panels": trained,
        "texts": texts,
        "texts_step": step,
        "log": await asyncio.to_thread(tail, data_dir, job.id, _LOG_LINES),
        "parameters": yaml.safe_dump(job.parameters, sort_keys=False, allow_unicode=True) if job.parameters else "",
        "plotly": PLOTLY,
        "took": took,
        "now": datetime.now(UTC),
        "busy": chain.state in store.UNFINISHED,
        "may_retry": chain.state in requests.RETRIABLE and (job.id == chain.id or (first and first.id == job.id)),
    }
    return page(request, "job.html", who, **context)


@router.post("/{job_id}/cancel")
async def cancel(job_id: UUID, container: ContainerDep, who: Operator) -> Response:
    async with container.database.begin() as connection:
        await requests.cancel(connection, job_id, actor=actor(who.key))
    return RedirectResponse(f"{HOME}/{job_id}", 303)


@router.post("/{job_id}/retry")
async def retry(job_id: UUID, container: ContainerDep, who: Operator) -> Response:
    async with container.database.begin() as connection:
        await requests.retry(connection, job_id, actor=actor(who.key))
    return RedirectResponse(f"{HOME}/{job_id}", 303)
