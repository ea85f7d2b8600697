"""Worker processes: what they run, what becomes of a job when one is killed, and one training at a time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fake_commands import runs
from job_platform import JobPlatform, lives
from typer.testing import CliRunner

from app.cli import cli
from app.core.settings import Settings
from app.jobs.alive import file_of, works
from app.jobs.sweeper import SILENT_S
from app.services.jobs import requests


async def ended(platform: JobPlatform, job_id: UUID, *, within: float = 120) -> Any:
    async with asyncio.timeout(within):
        while (job := await platform.find(job_id)).state in ("waiting", "queued", "running"):
            await asyncio.sleep(0.1)
    return job


async def test_a_worker_runs_a_chain_and_stops_when_asked(platform: JobPlatform) -> None:
    chain = await platform.ask("retrain")
    assert not works(platform.settings)
    with platform.worker() as worker:
        assert (await ended(platform, chain.id)).state == "succeeded"
        assert works(platform.settings)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 60) == 0
    assert not works(platform.settings)
    assert await platform.queued() == 0
    assert len(set((await platform.steps(chain))[2].parameters["set"])) == 1


def test_a_worker_that_hangs_is_told_from_one_that_works(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The health check of a container: `relate worker --check`."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    file = file_of(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert CliRunner().invoke(cli, ["worker", "--check"]).exit_code == 0
    os.utime(file, (time.time() - 60, time.time() - 60))
    answer = CliRunner().invoke(cli, ["worker", "--check"])
    assert answer.exit_code == 1 and "no worker works on this host" in str(answer.exception)


async def test_a_job_of_a_killed_worker_resumes_from_its_checkpoint(platform: JobPlatform) -> None:
    await killed(platform, silent_s=6.0)


@pytest.mark.soak
async def test_a_killed_worker_is_noticed_within_a_minute(platform: JobPlatform) -> None:
    await killed(platform, silent_s=SILENT_S)


async def killed(platform: JobPlatform, *, silent_s: float) -> None:
    """Kill the worker of two that runs a job: its heartbeat stops, and within a minute the other one has the job."""
    platform.tell("train-grpo", sleep=4, child=True)
    job = await platform.ask("grpo")
    with platform.worker(silent_s=silent_s) as first, platform.worker(silent_s=silent_s) as second:
        while not (running := await platform.find(job.id)).done:
            await asyncio.sleep(0.1)
        process, child = (int((platform.folder / name).read_text()) for name in ("train-grpo.pid", "child.pid"))
        next(each for each in (first, second) if running.worker.endswith(f":{each.pid}")).kill()
        async with asyncio.timeout(60):
            while (await platform.find(job.id)).attempt == 1:
                await asyncio.sleep(0.1)
        done = await ended(platform, job.id)
    assert (done.state, done.attempt, done.lost) == ("succeeded", 2, 1)
    assert done.worker != running.worker
    steps = [json.loads(line) for line in curves(platform, job).read_text().splitlines()]
    assert [step["step"] for step in steps] == [0, 1, 2, 3]
    assert steps[0]["process"] == process != steps[-1]["process"]
    assert not lives(child) and not lives(platform.folder / "child.pid")


def curves(platform: JobPlatform, job: Any) -> Path:
    return platform.settings.data_dir / "jobs" / str(job.id) / "run" / "curves.jsonl"


async def test_two_workers_of_a_host_train_one_job_at_a_time(platform: JobPlatform) -> None:
    platform.tell("train-grpo", sleep=1)
    asked = [await platform.ask("grpo", set=[f"seed={seed}"]) for seed in range(3)]
    with platform.worker(), platform.worker():
        states = [(await ended(platform, job.id)).state for job in asked]
    assert states == ["succeeded"] * 3
    times = sorted((float(begin), float(end)) for _, begin, end in runs(platform.folder))
    assert all(end <= begin for (_, end), (begin, _) in pairwise(times))


async def test_a_job_outlives_the_connections_of_its_worker(platform: JobPlatform, postgres: str) -> None:
    """As when PostgreSQL restarts: every connection is cut, twice, and nothing is run again."""
    platform.tell("train-grpo", sleep=4)
    job = await platform.ask("grpo")
    with platform.worker() as worker:
        for _ in range(2):
            steps = (await platform.find(job.id)).done or 0
            while ((await platform.find(job.id)).done or 0) == steps:
                await asyncio.sleep(0.1)
            cut(postgres)
        assert (await ended(platform, job.id)).state == "succeeded"
        assert (await ended(platform, (await platform.ask("backup")).id)).state == "succeeded"
        assert worker.poll() is None
    assert [command for command, *_ in runs(platform.folder)] == ["train-grpo", "backup"]


def cut(postgres: str) -> None:
    """End every other connection to the server's test databases."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'")


async def test_a_cancelled_job_is_gone_in_seconds_and_the_worker_goes_on(platform: JobPlatform) -> None:
    platform.tell("train-reward", sleep=600, child=True)
    snapshot = (await platform.run(await platform.ask("export"))).outputs[0]["path"]
    job = await platform.ask("reward", snapshot=snapshot)
    with platform.worker():
        while not (platform.folder / "train-reward.pid").exists():
            await asyncio.sleep(0.1)
        async with platform.database.begin() as connection:
            await requests.cancel(connection, job.id, actor="a test")
        assert (await ended(platform, job.id)).state == "cancelled"
        assert not lives(platform.folder / "child.pid")
        assert (await ended(platform, (await platform.ask("backup")).id)).state == "succeeded"
