"""`/jobs`: background work, asked for, watched, cancelled and retried."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.container import ContainerDep
from app.core.problems import documented
from app.http.auth import actor, require
from app.services.jobs import requests
from app.services.jobs.job_log import tail
from app.services.jobs.kinds import KINDS, State
from app.store import jobs as store
from app.store.registry import Key

router = APIRouter(prefix="/jobs", tags=["jobs"])

Operator = Annotated[Key, Depends(require("ops"))]
_LAST = 2**63 - 1


class JobBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: str = Field(max_length=40, description=f"One of {', '.join(KINDS)}.")
    parameters: dict[str, Any] = Field(default={}, description="What this kind takes; see docs/operations.md.")


class ArtifactAnswer(BaseModel):
    name: str
    path: str = Field(description="Below the data directory.")
    digest: str = Field(description="SHA-256 of its content.")


class StepAnswer(BaseModel):
    """A job; in a chain, one of its steps."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    number: int
    kind: str
    state: State
    reason: str = Field(description="manual, schedule, conversions or guardrail.")
    actor: str
    parameters: dict[str, Any]
    attempt: int = Field(description="How often it was started.")
    done: int | None = Field(description="Training steps taken.")
    total: int | None
    last_line: str | None = Field(description="The last line of its log.")
    inputs: list[ArtifactAnswer]
    outputs: list[ArtifactAnswer]
    error: str | None
    created_at: datetime
    started_at: datetime | None
    cancel_requested_at: datetime | None
    ended_at: datetime | None


class JobAnswer(StepAnswer):
    steps: list[StepAnswer] = Field(default=[], description="Of a chain, in their order.")
    new: bool = Field(default=True, description="False: the same request had started it already.")


class JobPage(BaseModel):
    jobs: list[StepAnswer]
    next: int | None = Field(description="Send it as `before` for the next page; null on the last page.")


_SAME: dict[int | str, dict[str, Any]] = {
    200: {"model": JobAnswer, "description": "The same request had started this job already."}
}


@router.post("", status_code=202, responses={**documented(409), **_SAME})
async def start(body: JobBody, container: ContainerDep, key: Operator, response: Response) -> JobAnswer:
    """Start a job. The same request again is answered with the job that it started, unless that failed or may be
    repeated.
    """
    job, new = await requests.start(
        container.database, container.settings, body.kind, body.parameters, reason="manual", actor=actor(key)
    )
    response.status_code = 202 if new else 200
    return await _answer(container, job.id, new=new)


@router.get("", responses=documented())
async def list_all(
    container: ContainerDep,
    _: Operator,
    kind: Annotated[str | None, Query(max_length=40, pattern=r"^[a-z]+$")] = None,
    state: State | None = None,
    before: Annotated[int, Query(ge=1, le=_LAST)] = _LAST,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> JobPage:
    """Jobs and chains, newest first."""
    async with container.database.begin() as connection:
        rows = await store.listed(connection, before=before, limit=limit + 1, kind=kind, state=state)
    shown = [StepAnswer.model_validate(row) for row in rows[:limit]]
    return JobPage(jobs=shown, next=shown[-1].number if len(rows) > limit else None)


@router.get("/{job_id}", responses=documented(404))
async def show(job_id: UUID, container: ContainerDep, _: Operator) -> JobAnswer:
    """One job; a chain with its steps."""
    return await _answer(container, job_id)


@router.get(
    "/{job_id}/log",
    response_class=Response,
    responses={**documented(404), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def log(
    job_id: UUID,
    container: ContainerDep,
    _: Operator,
    lines: Annotated[int, Query(ge=1, le=10_000, description="The last so many.")] = 200,
) -> Response:
    """The end of a job's log; of a chain, that of its latest step."""
    async with container.database.begin() as connection:
        job = await store.find(connection, job_id)
        steps = await store.steps(connection, job_id)
    if job is None:
        raise requests.unknown(job_id)
    begun = [step for step in steps if step.started_at is not None]
    shown = (begun or [job])[-1]
    text = await asyncio.to_thread(tail, container.settings.data_dir, shown.id, lines)
    return Response(text, media_type="text/plain; charset=utf-8")


@router.post("/{job_id}/cancel", responses=documented(404, 409))
async def cancel(job_id: UUID, container: ContainerDep, key: Operator) -> JobAnswer:
    """Cancel a job or a chain. A process that runs is gone within 15 seconds."""
    async with container.database.begin() as connection:
        await requests.cancel(connection, job_id, actor=actor(key))
    return await _answer(container, job_id)


@router.post("/{job_id}/retry", responses=documented(404, 409))
async def retry(job_id: UUID, container: ContainerDep, key: Operator) -> JobAnswer:
    """Run a failed or cancelled job again, from its last checkpoint; a chain resumes at the step that failed."""
    async with container.database.begin() as connection:
        await requests.retry(connection, job_id, actor=actor(key))
    return await _answer(container, job_id)


async def _answer(container: ContainerDep, job_id: UUID, *, new: bool = True) -> JobAnswer:
    async with container.database.begin() as connection:
        job = await store.find(connection, job_id)
        steps = await store.steps(connection, job_id)
    if job is None:
        raise requests.unknown(job_id)
    shown = [StepAnswer.model_validate(step) for step in steps]
    return JobAnswer(**StepAnswer.model_validate(job).model_dump(), steps=shown, new=new)
