"""A platform whose jobs run the fake commands: what tests of jobs start from."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from fake_commands import stand_in
from sqlalchemy.exc import OperationalError

from app.core.settings import Settings
from app.jobs.runner import Runner
from app.services.jobs import requests
from app.store import jobs as store
from app.store.database import Database

# a worker over the fake commands; a dead one is noticed sooner than in earnest
CODE = """
import asyncio, sys
from pathlib import Path
from app.core.logs import configure
from app.core.settings import Settings
from app.jobs import sweeper, worker
from fake_commands import stand_in
from sqlalchemy.exc import OperationalError

sweeper.SILENT_S, sweeper.INTERVAL_S = float(sys.argv[2]), 1.0
configure("info")
asyncio.run(worker.work(Settings(), stand_in(Path(sys.argv[1]))))
"""


class JobPlatform:
    """Jobs over a database and a data directory; `tell` says what a fake command does."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.database = Database(settings)
        (settings.data_dir / "models" / "relate-en-5").mkdir(parents=True)
        (settings.data_dir / "models" / "relate-en-5" / "config.json").write_text("{}")

    def tell(self, command: str, **wish: Any) -> None:
        (self.folder / f"{command}.json").write_text(json.dumps(wish))

    async def ask(self, kind: str, **parameters: Any) -> Any:
        """A new job."""
        job, new = await self.ask_again(kind, **parameters)
        assert new
        return job

    async def ask_again(self, kind: str, **parameters: Any) -> tuple[Any, bool]:
        return await requests.start(self.database, self.settings, kind, parameters, reason="manual", actor="a test")

    def runner(self) -> Runner:
        return Runner(self.settings, self.database, stand_in(self.folder))

    async def run(self, job: Any) -> Any:
        """Run a job here, without a queue; of a chain, every step that is queued."""
        runner = self.runner()
        if job.kind != "retrain":
            await runner.run(job.id)
        else:
            while (step := next((step for step in await self.steps(job) if step.state == "queued"), None)) is not None:
                await runner.run(step.id)
        return await self.find(job.id)

    async def find(self, job_id: UUID) -> Any:
        """The job's row. A connection of the test's own pool may have been cut since its last use: it asks again."""
        for _ in range(10):
            try:
                async with self.database.begin() as connection:
                    return await store.find(connection, job_id)
            except OperationalError:
                await asyncio.sleep(0.1)
        raise AssertionError("the database does not answer")

    async def steps(self, chain: Any) -> list[Any]:
        async with self.database.begin() as connection:
            return list(await store.steps(connection, chain.id))

    async def states(self, chain: Any) -> dict[str, str]:
        return {step.kind: step.state for step in await self.steps(chain)}

    async def queued(self) -> int:
        """Records in the queue, waiting or taken."""
        async with self.database.begin() as connection:
            return int(await connection.scalar(store.text("SELECT count(*) FROM procrastinate_jobs")))

    @contextmanager
    def worker(self, *, silent_s: float = 6.0) -> Iterator[subprocess.Popen[bytes]]:
        """A worker process, killed at the end if it has not ended by then."""
        paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | self.settings.environment() | {"PYTHONPATH": paths}
        command = [sys.executable, "-c", CODE, str(self.folder), str(silent_s)]
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def lives(pid: Path | int) -> bool:
    """Whether a process runs, given its number or the file that it wrote its number into."""
    try:
        return psutil.Process(pid if isinstance(pid, int) else int(pid.read_text())).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
