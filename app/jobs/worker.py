"""The worker process: takes jobs from the queue, sweeps up after dead workers, and keeps the schedules."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from uuid import UUID

from procrastinate import App
from procrastinate.psycopg_connector import PsycopgConnector

from app.core.settings import Settings
from app.jobs.alive import Alive
from app.jobs.devices import devices_of, holding
from app.jobs.patience import PatientManager
from app.jobs.runner import Program, Runner, program
from app.jobs.schedules import Schedules
from app.jobs.sweeper import Sweeper
from app.services.jobs.kinds import OPERATIONS, TRAINING
from app.store.database import Database
from app.store.job_queue import TASK

log = logging.getLogger(__name__)

AT_ONCE = {TRAINING: 1, OPERATIONS: 2}
_POLL_S = 2.0  # where a notice of a new job was missed


async def work(settings: Settings, make_command: Program = program) -> None:
    """Work until SIGTERM or SIGINT. What runs then is ended and given back: it resumes from its last checkpoint."""
    database = Database(settings)
    connector = PsycopgConnector(conninfo=settings.psycopg_url, min_size=1, max_size=4)
    queue = App(connector=connector)
    queue.job_manager = PatientManager(connector)
    runner = Runner(settings, database, make_command)

    @queue.task(name=TASK)
    async def run(job_id: str) -> None:
        await runner.run(UUID(job_id))

    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        await stack.enter_async_context(queue.open_async())
        for part in (Alive(settings), Sweeper(database), Schedules(settings, database)):
            await part.start()
            stack.push_async_callback(part.stop)
        serving = asyncio.gather(_train(queue, settings), _serve(queue, OPERATIONS))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, serving.cancel)
        log.info("worker is ready", extra={"devices": devices_of(settings.training_devices)})
        try:
            await serving
        except asyncio.CancelledError:
            log.info("worker stops")


async def _train(queue: App, settings: Settings) -> None:
    """Training jobs, while this worker has the devices."""
    async with holding(settings.data_dir.resolve(), devices_of(settings.training_devices)):
        log.info("worker trains")
        await _serve(queue, TRAINING)


async def _serve(queue: App, name: str) -> None:
    await queue.run_worker_async(
        queues=[name],
        name=name,
        concurrency=AT_ONCE[name],
        fetch_job_polling_interval=_POLL_S,
        shutdown_graceful_timeout=0,
        delete_jobs="always",
        install_signal_handlers=False,
    )
