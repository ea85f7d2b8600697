"""What starts jobs by itself: cron lines, open canaries, webhooks that are due, and why to retrain."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import yaml  # type: ignore[import-untyped]
from croniter import croniter

from app.core.problems import Problem
from app.core.settings import Settings
from app.runtime.periodic import Periodic
from app.services.jobs import requests
from app.services.jobs.kinds import CANARY, RETRAIN, WEBHOOKS, Reason
from app.services.jobs.triggers import fallen_guardrail, fresh_conversions
from app.services.webhooks.delivery import FRESH
from app.store import canaries, webhooks
from app.store import jobs as store
from app.store.database import Database

log = logging.getLogger(__name__)

INTERVAL_S = 5.0
COUNT_S = 60.0  # between looks at what triggers a retraining


@dataclass(frozen=True, slots=True)
class Schedule:
    """A kind of job and when it is started, in UTC."""

    kind: str
    cron: str


def schedules_of(settings: Settings) -> list[Schedule]:
    """The schedules that are switched on."""
    lines = (
        (RETRAIN, settings.retrain_cron),
        (CANARY, settings.canary_cron),
        ("retention", settings.retention_cron),
        ("backup", settings.backup_cron),
    )
    return [Schedule(kind, cron) for kind, cron in lines if cron]


def latest(cron: str, now: datetime) -> datetime:
    """The latest time at or before now, to the minute, at which a cron line is due."""
    minute = now.replace(second=0, microsecond=0)
    previous: datetime = croniter(cron, minute + timedelta(minutes=1)).get_prev(datetime)
    return previous


class Schedules:
    """Looks every few seconds, in every worker: a period starts one job, and so do several that were missed."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._counted = float("-inf")
        self._periodic = Periodic("the schedules of jobs", INTERVAL_S, self.look)

    async def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()

    async def look(self, now: datetime | None = None) -> None:
        for schedule in schedules_of(self._settings):
            moment = latest(schedule.cron, now or datetime.now(UTC))
            async with self._database.background() as connection:
                due = await store.due(connection, schedule.kind, schedule.cron, moment)
                if schedule.kind == CANARY:
                    due = due and bool(await canaries.open_(connection))
            if due:
                await self._start(schedule.kind, "schedule", f"schedule {schedule.cron}")
        await self._look_at_webhooks()
        if monotonic() - self._counted > COUNT_S:
            self._counted = monotonic()
            await self._look_at_triggers()

    async def _look_at_webhooks(self) -> None:
        if not (urls := self._settings.webhook_urls):
            return
        async with self._database.background() as connection:
            due = await webhooks.anything_due(connection, urls, FRESH)
        if due:
            await self._start(WEBHOOKS, "schedule", "webhooks are due")

    async def _look_at_triggers(self) -> None:
        enough = self._settings.retrain_conversions
        async with self._database.background() as connection:
            fresh = await fresh_conversions(connection, self._settings) if enough else 0
            fallen = await fallen_guardrail(connection, self._settings)
        if fallen is not None:
            await self._start(RETRAIN, "guardrail", fallen)
        elif enough and fresh >= enough:
            await self._start(RETRAIN, "conversions", f"{fresh} fresh conversions of {enough}")

    async def _start(self, kind: str, reason: Reason, actor: str) -> None:
        """A job that cannot be started is said so in the log; the next period tries again."""
        try:
            parameters = await asyncio.to_thread(retrain_parameters, self._settings) if kind == RETRAIN else {}
            job, new = await requests.start(
                self._database, self._settings, kind, parameters, reason=reason, actor=actor
            )
            log.info("job is due", extra={"kind": kind, "job": str(job.id), "new": new, "reason": reason})
        except (Problem, ValueError) as error:
            log.error("a scheduled job was not started", extra={"kind": kind, "error": str(error)})


def retrain_file(settings: Settings) -> Path:
    return settings.retrain_file or settings.data_dir / "retrain.yaml"


def retrain_parameters(settings: Settings) -> dict[str, Any]:
    """The parameters of a scheduled chain. ValueError where the file is no mapping."""
    path = retrain_file(settings)
    if not path.exists():
        if settings.retrain_file is not None:
            raise ValueError(f"{path} is not there: it should hold the parameters of `retrain`")
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} cannot be read as YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no mapping: write one parameter of `retrain` per line, as name: value")
    return content
