"""One job, run by a worker: claimed, kept alive, its commands run one after the other, its end written once."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func

from app.core.problems import Problem
from app.core.settings import Settings
from app.jobs.children import Child, end_all, ending, last_line
from app.services.jobs import chains, job_log, requests
from app.services.jobs.artifacts import Artifact, unchanged
from app.services.jobs.gated import keep_gate_report
from app.services.jobs.kinds import RetrainParameters, kind_of
from app.services.jobs.plans import REJECTED, Champion, Command, Planner, collected, folder_of
from app.store import jobs as store
from app.store import policies
from app.store.database import AsyncConnection, Database, Unavailable
from trainer.gate_report import GateReport

log = logging.getLogger(__name__)

BEAT_S = 2.0  # also how soon a request to cancel is seen
_AGAIN_S = 1.0  # between tries to write while the database is away
Program = Callable[[Sequence[str]], list[str]]


def program(arguments: Sequence[str]) -> list[str]:
    """`relate …` with this interpreter; what the trainer does, without the service around it."""
    module = "trainer" if arguments[0] in ("train", "evaluate") else "app.cli"
    return [sys.executable, "-m", module, *arguments]


def on_cluster(settings: Settings, name: str, command: Sequence[str]) -> list[str]:
    """A command of `program`, run on the Ray cluster of the settings: a second start with its name goes on with it."""
    return [
        *(sys.executable, "-m", "trainer.launch.cluster", f"--address={settings.ray_address}", f"--name={name}"),
        *(f"--storage={settings.ray_storage}", f"--gpus={settings.ray_gpus}", "--", *command[3:]),
    ]


class _Failed(Exception):
    """Why a job failed: one line."""


class _Cancelled(Exception):
    """Somebody asked for the job to end."""


class _Lost(Exception):
    """Another worker has the job now, or it is no longer wanted."""


@dataclass
class _Attempt:
    """What runs now, and what its heartbeat found out."""

    job: Any
    folder: Path
    command: Command | None = None
    parameters: dict[str, Any] = field(
        default_factory=dict
    )  # what the job was asked with; a chain's step also gets the outputs of earlier steps
    stopped: type[Exception] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def log(self) -> Path:
        return self.folder / job_log.LOG

    def progress(self) -> dict[str, Any]:
        """The log's last line, and how many steps of training were taken."""
        found: dict[str, Any] = {"last_line": last_line(self.log)}
        if self.command is not None and self.command.steps is not None:
            curves = self.command.place / "curves.jsonl"
            taken = curves.read_bytes().count(b"\n") if curves.exists() else 0
            found |= {"done": taken, "total": self.command.steps}
        return found


class Runner:
    """Runs jobs, one call each."""

    def __init__(self, settings: Settings, database: Database, make_command: Program = program) -> None:
        self._settings, self._database, self._make_command = settings, database, make_command
        self._worker = f"{socket.gethostname()}:{os.getpid()}"

    async def run(self, job_id: UUID) -> None:
        """Run a job to its end, unless it is no longer to be run."""
        async with self._database.begin() as connection:
            job = await store.claim(connection, job_id, self._worker)
            if job is not None and job.parent_id is not None:
                await store.begin_chain(connection, job.parent_id)
        if job is None:
            return
        log.info("job started", extra={"job": str(job.id), "kind": job.kind, "attempt": job.attempt})
        attempt = _Attempt(job, folder_of(self._settings.data_dir, job.id))
        try:
            async with self._kept_alive(attempt):
                ended = await self._work(attempt)
            await self._finish(attempt, **ended)
        except _Cancelled:
            await self._finish(attempt, "cancelled")
        except _Lost:
            log.warning("job was lost to another worker", extra={"job": str(job.id)})
        except (_Failed, Problem, ValueError, OSError) as error:
            await self._finish(attempt, "failed", error=(str(error).splitlines() or [type(error).__name__])[0][:1000])
        except asyncio.CancelledError:  # this worker stops: another one, or the next start, goes on
            await self._give_back(attempt)

    @asynccontextmanager
    async def _kept_alive(self, attempt: _Attempt) -> AsyncIterator[None]:
        beating = asyncio.create_task(self._beat(attempt), name=f"heartbeat of {attempt.job.id}")
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self, attempt: _Attempt) -> None:
        """Until the job is to stop. A database that is away stops nothing: the work goes on."""
        while True:
            try:
                progress = await asyncio.to_thread(attempt.progress)
                async with self._database.background() as connection:
                    alive = await store.beat(connection, attempt.job.id, attempt.job.attempt, **progress)
                if alive is None or alive.cancel_requested_at is not None:
                    attempt.stopped = _Lost if alive is None else _Cancelled
                    attempt.stop.set()
                    return
            except Unavailable as error:
                log.warning("a heartbeat waits for the database", extra={"error": str(error).partition("\n")[0]})
            await asyncio.sleep(BEAT_S)

    async def _work(self, attempt: _Attempt) -> dict[str, Any]:
        """The job's end: its state, outputs and, where it is rejected, the reason."""
        await asyncio.to_thread(end_all, str(attempt.job.id))  # what a dead worker left
        outputs: list[Artifact] = []
        rejected: str | None = None
        for command in await self._prepare(attempt):
            attempt.command = command
            if not await asyncio.to_thread(command.done):
                rejected = await self._execute(attempt, command)
            outputs += await asyncio.to_thread(collected, self._settings, command)
            if attempt.stopped is not None:
                raise attempt.stopped
        made = {"outputs": [artifact.to_json() for artifact in outputs]}
        return made | ({"state": "succeeded"} if rejected is None else {"state": "rejected", "error": rejected})

    async def _prepare(self, attempt: _Attempt) -> list[Command]:
        """The job's commands, once its inputs are known to be what they were."""
        job = attempt.job
        async with self._database.begin() as connection:
            champion = await policies.aliased(connection, "champion")
            parameters, inputs = await _asked(connection, job)
            if job.parent_id is not None:
                noted = [artifact.to_json() for artifact in inputs]
                await store.change(connection, job.id, parameters=parameters, inputs=noted)
        attempt.parameters = parameters
        data_dir = self._settings.data_dir
        for artifact in inputs:
            await asyncio.to_thread(unchanged, data_dir, artifact)
        attempt.folder.mkdir(parents=True, exist_ok=True)
        served = Champion(champion.version, champion.model) if champion else Champion("none", None)
        planner = Planner(self._settings, served, attempt.folder, job.created_at)
        return await asyncio.to_thread(planner.commands, job.kind, parameters)

    async def _execute(self, attempt: _Attempt, command: Command) -> str | None:
        """One child, until it ends or the job is to stop; the reason where it decided against the policy."""
        run = self._make_command(command.arguments)
        if self._settings.ray_address and command.arguments[0] == "train":
            run = on_cluster(self._settings, f"{attempt.job.id}-{command.makes}", run)
        child = await Child.start(
            run,
            log=attempt.log,
            job_id=str(attempt.job.id),
            environment=os.environ | self._settings.environment(),
        )
        ended, stop = asyncio.create_task(child.wait()), asyncio.create_task(attempt.stop.wait())
        try:
            await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            await child.end()
        if attempt.stopped is not None:
            raise attempt.stopped
        status = ended.result()
        words = await asyncio.to_thread(last_line, attempt.log)
        if status == REJECTED and attempt.job.kind == "gate":
            return (await asyncio.to_thread(GateReport.read, command.place)).sentence
        if status == REJECTED and attempt.job.kind == "canary":
            return words
        if status != 0:
            raise _Failed(f"{' '.join(command.arguments[:2])} {ending(status)}: {words or 'it wrote nothing'}")
        return None

    async def _finish(self, attempt: _Attempt, state: str, **values: Any) -> None:
        """Write a job's end, and let the chain's next step begin. One transaction, repeated while the database is
        away.
        """
        job = attempt.job
        decided = job.kind == "gate" and state in ("succeeded", "rejected")
        report = await asyncio.to_thread(GateReport.read, attempt.folder / "gate") if decided else None
        reproduced = state == "succeeded" and job.parent_id is None and kind_of(job.kind).reproducible
        ended = values | {"state": state, "ended_at": func.now()} | ({} if reproduced else {"identity": None})
        ended |= await asyncio.to_thread(attempt.progress)

        async def write() -> None:
            async with self._database.begin() as connection:
                mine = await store.end_attempt(connection, job.id, job.attempt, **ended)
                if mine and report is not None:
                    await keep_gate_report(
                        connection, self._settings, report, attempt.parameters, job_id=job.id, actor=job.actor
                    )
                if mine and job.parent_id is not None:
                    await requests.step_ended(connection, job, state, values.get("error"))

        await _patiently(write)
        log.info(
            "job ended", extra={"job": str(job.id), "kind": job.kind, "state": state, "error": values.get("error")}
        )

    async def _give_back(self, attempt: _Attempt) -> None:
        async def write() -> None:
            async with self._database.begin() as connection:
                job = await store.lock(connection, attempt.job.id)
                if job is not None and job.state == "running" and job.attempt == attempt.job.attempt:
                    await requests.requeue(connection, job)

        await _patiently(write, tries=3)


async def _asked(connection: AsyncConnection, job: Any) -> tuple[dict[str, Any], list[Artifact]]:
    """A job's parameters and inputs. Those of a chain's step follow from what the steps before it made."""
    if job.parent_id is None:
        return job.parameters, [Artifact.of_json(values) for values in job.inputs]
    chain = await store.find(connection, job.parent_id)
    assert chain is not None
    earlier = [step for step in await store.steps(connection, chain.id) if step.position < job.position]
    made = [Artifact.of_json(values) for step in earlier for values in step.outputs]
    paths = {artifact.name: artifact.path for artifact in made}
    step = chains.STEPS[job.position]
    parameters = step.parameters(RetrainParameters.model_validate(chain.parameters), paths)
    used = {value for value in parameters.values() if isinstance(value, str)}
    given = [Artifact.of_json(values) for values in chain.inputs]
    return parameters, [artifact for artifact in [*given, *made] if artifact.path in used]


async def _patiently(write: Callable[[], Awaitable[None]], tries: int | None = None) -> None:
    """Write, again and again while the database is away; given up after so many tries."""
    taken = 0
    while True:
        try:
            await write()
            return
        except Unavailable as error:
            taken += 1
            log.warning("a job's end waits for the database", extra={"error": str(error).partition("\n")[0]})
            if tries is not None and taken >= tries:
                return  # its heartbeat ends: a sweeper gives the job to another worker
            await asyncio.sleep(_AGAIN_S)
