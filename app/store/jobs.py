"""Jobs in the database: created, claimed by a worker, kept alive by its heartbeat, and ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.store.database import AsyncConnection
from app.store.models.jobs import Job, JobSchedule, LastRun

UNFINISHED = ("waiting", "queued", "running")
_LAST = 2**63 - 1


async def add(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    await connection.execute(insert(Job), list(rows))


async def add_unless_there(connection: AsyncConnection, **values: Any) -> Any | None:
    """The new row; None where a job has the same identity."""
    statement = upsert(Job).values(**values).on_conflict_do_nothing(index_elements=["identity"])
    return (await connection.execute(statement.returning(*Job.__table__.c))).one_or_none()


async def find(connection: AsyncConnection, job_id: UUID) -> Any | None:
    return (await connection.execute(select(Job.__table__).where(Job.id == job_id))).one_or_none()


async def with_identity(connection: AsyncConnection, identity: str) -> Any | None:
    return (await connection.execute(select(Job.__table__).where(Job.identity == identity))).one_or_none()


async def lock(connection: AsyncConnection, job_id: UUID) -> Any | None:
    """The job, locked until this transaction ends."""
    return (await connection.execute(select(Job.__table__).where(Job.id == job_id).with_for_update())).one_or_none()


async def steps(connection: AsyncConnection, parent_id: UUID) -> Sequence[Any]:
    """A chain's steps in their order."""
    return (
        await connection.execute(select(Job.__table__).where(Job.parent_id == parent_id).order_by(Job.position))
    ).all()


async def listed(
    connection: AsyncConnection, *, before: int = _LAST, limit: int, kind: str | None = None, state: str | None = None
) -> Sequence[Any]:
    """Chains and single jobs, newest first; the steps of a chain are read with `steps`."""
    statement = select(Job.__table__).where(Job.number < before, Job.parent_id.is_(None))
    if kind is not None:
        statement = statement.where(Job.kind == kind)
    if state is not None:
        statement = statement.where(Job.state == state)
    return (await connection.execute(statement.order_by(Job.number.desc()).limit(limit))).all()


async def change(connection: AsyncConnection, job_id: UUID, **values: Any) -> None:
    await connection.execute(update(Job).where(Job.id == job_id).values(**values))


async def claim(connection: AsyncConnection, job_id: UUID, worker: str) -> Any | None:
    """Start a queued job: from now on the worker must keep it alive. None where it must not run."""
    now = func.now()
    statement = update(Job).where(Job.id == job_id, Job.state == "queued")
    begun = {"state": "running", "attempt": Job.attempt + 1, "worker": worker, "started_at": now, "heartbeat_at": now}
    return (
        await connection.execute(statement.values(begun | {"error": None}).returning(*Job.__table__.c))
    ).one_or_none()


async def begin_chain(connection: AsyncConnection, chain_id: UUID) -> None:
    """A step of the chain runs."""
    begun = {"state": "running", "started_at": func.coalesce(Job.started_at, func.now())}
    await connection.execute(update(Job).where(Job.id == chain_id).values(begun))


async def beat(connection: AsyncConnection, job_id: UUID, attempt: int, **progress: Any) -> Any | None:
    """Keep a running job alive; None where this attempt lost it to another worker."""
    statement = update(Job).where(Job.id == job_id, Job.attempt == attempt, Job.state == "running")
    changed = statement.values(heartbeat_at=func.now(), **progress)
    return (await connection.execute(changed.returning(Job.cancel_requested_at))).one_or_none()


async def end_attempt(connection: AsyncConnection, job_id: UUID, attempt: int, **values: Any) -> bool:
    """Write how an attempt ended, unless another worker has the job by now."""
    statement = update(Job).where(Job.id == job_id, Job.attempt == attempt, Job.state == "running")
    return (await connection.execute(statement.values(**values).returning(Job.id))).one_or_none() is not None


async def lost(connection: AsyncConnection, silent: timedelta) -> Sequence[Any]:
    """Running jobs whose worker has not been heard of for that long, held until this transaction ends."""
    statement = select(Job.__table__).where(Job.state == "running", Job.heartbeat_at < func.now() - silent)
    return (await connection.execute(statement.with_for_update(skip_locked=True))).all()


async def unqueued(connection: AsyncConnection, waited: timedelta) -> Sequence[Any]:
    """Queued jobs that no worker will get: their record in the queue is missing, or held by a dead worker."""
    gone = text("NOT EXISTS (SELECT 1 FROM procrastinate_jobs q WHERE q.id = jobs.queue_id AND q.status = 'todo')")
    statement = select(Job.__table__).where(Job.state == "queued", Job.queued_at < func.now() - waited, gone)
    return (await connection.execute(statement.with_for_update(skip_locked=True))).all()


async def due(connection: AsyncConnection, name: str, cron: str, latest: datetime) -> bool:
    """Note that a schedule came due at `latest`; whether that is news. A new schedule, or one with another cron line,
    starts with its next period.
    """
    statement = upsert(JobSchedule).values(name=name, cron=cron, due_at=latest).on_conflict_do_nothing()
    if (await connection.execute(statement.returning(JobSchedule.name))).one_or_none():
        return False
    row = (await connection.execute(select(JobSchedule).where(JobSchedule.name == name).with_for_update())).one()
    if row.cron == cron and row.due_at >= latest:
        return False
    moved = update(JobSchedule).where(JobSchedule.name == name).values(cron=cron, due_at=latest)
    await connection.execute(moved)
    return bool(row.cron == cron)


async def maker_of(connection: AsyncConnection, policy: str) -> Any | None:
    """The job that made a policy, by the policy's path; None where no job did."""
    made = Job.outputs.contains([{"name": "policy", "path": policy}])
    statement = select(Job.__table__).where(made).order_by(Job.number.desc()).limit(1)
    return (await connection.execute(statement)).one_or_none()


async def counts(connection: AsyncConnection) -> dict[tuple[str, str], int]:
    """The number of jobs, by kind and state."""
    statement = select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)
    return {(kind, state): number for kind, state, number in await connection.execute(statement)}


async def oldest_queued(connection: AsyncConnection) -> float:
    """Seconds that the longest-waiting queued job has waited; 0 where none waits."""
    waited = func.extract("epoch", func.now() - func.min(Job.queued_at))
    return float(await connection.scalar(select(waited).where(Job.state == "queued")) or 0.0)


async def last_success(connection: AsyncConnection) -> dict[str, datetime]:
    """The time at which a job of each kind last succeeded."""
    statement = select(Job.kind, func.max(Job.ended_at)).where(Job.state == "succeeded").group_by(Job.kind)
    return {kind: ended_at for kind, ended_at in await connection.execute(statement) if ended_at is not None}


async def last_created(connection: AsyncConnection, kind: str) -> datetime | None:
    return await connection.scalar(select(func.max(Job.created_at)).where(Job.kind == kind))


async def note_run(connection: AsyncConnection, task: str) -> None:
    """Note that a command succeeded now."""
    noted = upsert(LastRun).values(task=task, succeeded_at=func.now())
    newer = {"succeeded_at": func.greatest(LastRun.succeeded_at, noted.excluded.succeeded_at)}
    await connection.execute(noted.on_conflict_do_update(index_elements=["task"], set_=newer))


async def last_runs(connection: AsyncConnection) -> dict[str, datetime]:
    """The time at which each command last succeeded."""
    return {row.task: row.succeeded_at for row in await connection.execute(select(LastRun.__table__))}
