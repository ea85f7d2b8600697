"""A queue whose database may be away for a while. procrastinate's worker would stop at the first statement that fails:
here it finds no job, beats again later, and listens anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import psycopg
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager, NotificationCallback

log = logging.getLogger(__name__)

AGAIN_S = 1.0


class PatientManager(JobManager):
    """The queue's statements, for one worker process."""

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        try:
            return await super().fetch_job(queues, worker_id)
        except ConnectorException as error:
            _note(error)
            return None

    async def update_heartbeat(self, worker_id: int) -> None:
        try:
            await super().update_heartbeat(worker_id)
        except ConnectorException as error:
            _note(error)

    async def finish_job_by_id_async(self, job_id: int, status: Status, delete_job: bool) -> None:
        """Take a job out of the queue; the job's own row says how it ended. It may be out of it already."""
        while True:
            try:
                await super().finish_job_by_id_async(job_id, status, delete_job)
                return
            except ConnectorException as error:
                _note(error)
                if not isinstance(error.__cause__, psycopg.OperationalError | psycopg.InterfaceError):
                    return
            await asyncio.sleep(AGAIN_S)

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        while True:
            try:
                await super().listen_for_jobs(on_notification=on_notification, queues=queues)
            except ConnectorException as error:
                _note(error)
            await asyncio.sleep(AGAIN_S)

    async def unregister_worker(self, worker_id: int) -> Any:
        try:
            await super().unregister_worker(worker_id)
        except ConnectorException as error:
            _note(error)


def _note(error: ConnectorException) -> None:
    cause = error.__cause__ or error
    log.warning("the queue did not answer", extra={"error": str(cause).partition("\n")[0]})
