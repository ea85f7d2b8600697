"""Reads the counts of an experiment in one consistent snapshot and composes its report."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import text

from abtest.document import PhaseAnswer, Report
from app.core.problems import Problem
from app.services.experiments.lifecycle import find
from app.services.reports.counts import read_counts, read_day_counts
from app.services.reports.document import compose
from app.services.reports.guardrails import GuardrailData, read_guardrails
from app.services.reports.outcome import outcome, phase_answer
from app.services.reports.question import Question
from app.store.database import AsyncConnection
from app.store.sums import View


async def ask(
    connection: AsyncConnection, name: str, *, as_of: datetime | None, phase: int | None, view: View, zone: ZoneInfo
) -> Question:
    """The parameters of a report. The defaults are the current time and the latest phase.

    Raises Problem 404 for an unknown experiment or phase and 422 for an `as_of` in the future: it would count
    impressions as mature whose conversions can still arrive.
    """
    # all figures come from one snapshot
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    experiment = await find(connection, name)
    number = len(experiment.phases) if phase is None else phase
    if not 1 <= number <= len(experiment.phases):
        detail = f"{name} has phases 1 to {len(experiment.phases)} and {number} was asked"
        raise Problem(404, "unknown_phase", detail, field="phase", value=number)
    present = now()
    if as_of is not None and as_of > present:
        detail = (
            f"as_of {as_of.isoformat()} is in the future: send a time up to {present.isoformat(timespec='seconds')}, "
            "or omit as_of to read the report as of now"
        )
        raise Problem(422, "future_as_of", detail, field="as_of", value=as_of.isoformat())
    return Question(experiment, experiment.phases[number - 1], as_of or present, view, zone)


def now() -> datetime:
    """The current time: the latest time that a report may be asked for."""
    return datetime.now(UTC)


async def report(connection: AsyncConnection, question: Question) -> Report:
    """The whole report of one phase, read inside this transaction."""
    started = (question.phase.started_at or question.as_of).date()
    data = await read_guardrails(connection, question.phase.id, question.arms, started, question.as_of)
    return await _compose(connection, question, data)


async def summary(connection: AsyncConnection, question: Question) -> Report:
    """The report without its guardrails, which are the most expensive part."""
    return await _compose(connection, question, GuardrailData({}, {}, [], {arm.policy: None for arm in question.arms}))


async def _compose(connection: AsyncConnection, question: Question, data: GuardrailData) -> Report:
    counts = await read_counts(connection, question)
    others = [
        await _phase_result(connection, replace(question, phase=phase))
        for phase in question.experiment.phases
        if phase.number != question.phase.number
    ]
    # in a thread: it takes seconds with hundreds of days and many arms
    return await asyncio.to_thread(compose, question, counts, data, others)


async def _phase_result(connection: AsyncConnection, question: Question) -> PhaseAnswer:
    counts = await read_day_counts(connection, question)
    return phase_answer(question, await asyncio.to_thread(outcome, question, counts))
