"""What an operator alerts on is exported, and its value is true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from counting import DAY, HOUR, AdSystem, a_funnel
from fakes import FakePolicyServer
from fastapi import FastAPI
from prometheus_client import REGISTRY
from service import BAD, Database, Generate

from app.core.contract import Reason
from app.core.settings import Settings
from app.services.admin.privacy import retain
from app.services.events.export import export
from app.services.events.ingest import current_time
from app.services.jobs.watch import TASKS, JobWatch
from app.services.reports.ratio_watch import RatioWatch
from app.up.backup import backup


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Counted:
    """How much counters rise in a block."""

    def __init__(self, name: str, label: str) -> None:
        self._name, self._label = name, label
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        samples = [sample for family in REGISTRY.collect() for sample in family.samples if sample.name == self._name]
        return {sample.labels[self._label]: sample.value for sample in samples}

    def risen(self) -> dict[str, float]:
        return {name: value - self._before.get(name, 0) for name, value in self._now().items()
                if value != self._before.get(name, 0)}  # fmt: skip


async def test_answers_are_counted_by_why_they_hold_no_text_of_the_policy(
    generate: Generate, upstream: FakePolicyServer
) -> None:
    answers = Counted("relate_answers_total", "reason")
    assert (await generate())["reason"] is None
    upstream.answer = lambda body: [BAD] * body["n"]
    for _ in range(2):
        assert (await generate())["reason"] == "no_compliant_text"
    assert answers.risen() == {"none": 1, "no_compliant_text": 2}


def test_every_reason_is_shown_before_its_first_answer() -> None:
    shown = {sample.labels["reason"] for family in REGISTRY.collect() for sample in family.samples
             if sample.name == "relate_answers_total"}  # fmt: skip
    assert shown == {"none", *Reason}


async def test_refills_say_how_they_ended(generate: Generate, upstream: FakePolicyServer) -> None:
    refills = Counted("relate_refills_total", "outcome")
    await generate()
    upstream.answer = lambda body: [BAD] * body["n"]
    await generate()
    upstream.status = 503
    await generate()
    assert refills.risen() == {"written": 1, "no_text": 1, "policy_unavailable": 1}


async def test_rejected_events_are_counted_by_reason_those_of_pixels_too(
    ad_system: AdSystem, client: httpx.AsyncClient
) -> None:
    rejected, events = Counted("relate_events_rejected_total", "reason"), Counted("relate_events_total", "status")
    now = current_time()
    told = a_funnel(ad_system.serve("单位一"), now)
    forged = [event | {"token": "A" * 160} for event in told[:1]]
    ahead = a_funnel(ad_system.serve("u-2"), now + timedelta(hours=1))[:1]
    await ad_system.report(*told, *told[:1], *forged, *ahead, {"event_id": "e", "kind": "view"})
    assert (await client.get("/pixel/click", params={"token": "B" * 160})).status_code == 422
    assert rejected.risen() == {"forged_token": 2, "future_event": 1, "invalid_event": 1}
    assert events.risen() == {"accepted": len(told), "duplicate": 1, "rejected": 4}


async def test_a_running_experiment_that_loses_units_raises_an_alarm_until_it_is_stopped(
    ad_system: AdSystem, client: httpx.AsyncClient, database: Database, bearer: Callable[..., Awaitable[dict[str, str]]]
) -> None:
    phases = {}
    for number, name in enumerate(("title-even", "title-lost")):
        phases[name] = (await ad_system.experiment(name, low=number * 5000, coverage_percent=50))["phase"]
    await ad_system.container.state.refresh()
    for phase, units in ((phases["title-even"], (500, 500)), (phases["title-lost"], (500, 200))):
        for arm in (0, 1):
            for unit in range(units[arm]):
                database.execute(
                    "INSERT INTO assigned_units (phase_id, unit, arm, first_at) VALUES (%s, %s, %s, now())",
                    (phase, f"{arm}-{unit}".encode(), arm),
                )
    watch = RatioWatch(ad_system.container.database, ad_system.container.state)
    await watch.look()
    alarm = "relate_sample_ratio_alarm"
    assert (metric(alarm, experiment="title-even"), metric(alarm, experiment="title-lost")) == (0, 1)
    headers = await bearer("report", "ops")
    assert (await client.post("/experiments/title-lost/stop", headers=headers)).status_code == 200
    await ad_system.container.state.refresh()
    await watch.look()
    assert REGISTRY.get_sample_value(alarm, {"experiment": "title-lost"}) is None


async def last_success(app: FastAPI) -> dict[str, float]:
    await JobWatch(app.state.container.database).look()
    return {task: metric("relate_last_success_timestamp_seconds", task=task) for task in TASKS}


async def test_what_never_ran_is_zero_and_what_a_command_did_is_told_by_its_time(
    app: FastAPI, settings: Settings, tmp_path: Path
) -> None:
    assert await last_success(app) == {"export": 0, "training": 0, "backup": 0, "retention": 0}
    began = time.time()
    await export(app.state.container.database, settings, tmp_path / "snapshot")
    await retain(settings, app.state.container.database)
    await asyncio.to_thread(backup, settings, tmp_path / "relate.tar")
    found = await last_success(app)
    assert found.pop("training") == 0
    assert all(began - 1 <= moment <= time.time() + 1 for moment in found.values())


async def test_the_last_training_is_the_latest_of_its_kinds(app: FastAPI, database: Database) -> None:
    times = {"reward": datetime(2026, 11, 20, tzinfo=UTC), "grpo": datetime(2026, 11, 22, tzinfo=UTC)}
    for number, (kind, ended_at) in enumerate(times.items()):
        for state, at in (("succeeded", ended_at), ("failed", ended_at + DAY)):
            database.execute(
                "INSERT INTO jobs (id, kind, state, reason, actor, parameters, ended_at) "
                "VALUES (gen_random_uuid(), %s, %s, 'manual', %s, '{}', %s)",
                (kind, state, f"a test {number}", at),
            )
    assert (await last_success(app))["training"] == times["grpo"].timestamp()


async def test_the_age_of_the_queue_is_that_of_the_job_that_waits_longest(app: FastAPI, database: Database) -> None:
    for hours in (3, 1):
        database.execute(
            "INSERT INTO jobs (id, kind, state, reason, actor, parameters, queued_at) "
            "VALUES (gen_random_uuid(), 'export', 'queued', 'manual', 'a test', '{}', now() - %s)",
            (hours * HOUR,),
        )
    await last_success(app)
    assert metric("relate_jobs_queued") == 2
    assert metric("relate_jobs_oldest_queued_seconds") == pytest.approx(3 * 3600, abs=60)


async def test_a_backup_before_the_migration_is_written_all_the_same(
    settings: Settings, keys: Any, database: Database, tmp_path: Path
) -> None:
    database.execute("DROP TABLE last_runs")
    await asyncio.to_thread(backup, settings, tmp_path / "relate.tar")
    assert (tmp_path / "relate.tar").exists()
