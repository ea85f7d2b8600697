"""The queue that jobs wait in: procrastinate's tables, written in the transaction of the job's own row."""

from __future__ import annotations

from uuid import UUID

from procrastinate import exceptions
from procrastinate.jobs import Job as Entry
from procrastinate.manager import JobManager
from procrastinate.psycopg_connector import PsycopgConnector
from sqlalchemy import text

from app.store.database import AsyncConnection, driver

TASK = "relate.job"
_manager = JobManager(PsycopgConnector())  # never opened: it writes on the connections that it is given

_WAITING = text("SELECT id FROM procrastinate_jobs WHERE queueing_lock = :lock AND status = 'todo'")
_FORGET = text("DELETE FROM procrastinate_jobs WHERE id = :id")


async def enqueue(connection: AsyncConnection, job_id: UUID, queue: str) -> int:
    """Queue the job for the workers of `queue`; returns the id in the queue. A job that already waits is not queued
    twice.
    """
    lock = str(job_id)
    entry = Entry(queue=queue, lock=None, queueing_lock=lock, task_name=TASK, task_kwargs={"job_id": lock})
    try:
        async with connection.begin_nested():
            added = await _manager.defer_job_async(entry, connection=await driver(connection))
    except exceptions.AlreadyEnqueued:
        return int((await connection.execute(_WAITING, {"lock": lock})).scalar_one())
    assert added.id is not None
    return added.id


async def forget(connection: AsyncConnection, queue_id: int | None) -> None:
    """Take a record out of the queue, whether it waits or a dead worker still holds it."""
    await connection.execute(_FORGET, {"id": queue_id})
