"""The report of an experiment: one consistent snapshot, read and composed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import text

from abtest.document import Breakdown, BreakdownRow, LiftAnswer, Report
from abtest.stats import benjamini_hochberg
from abtest.sums import FunnelSums
from abtest.verdict import ALPHA, adjust, compare_arms
from app.core.problems import Problem
from app.services.experiments.lifecycle import find
from app.services.reports.document import Question, compose, rate
from app.services.reports.guardrails import read_guardrails
from app.store.database import AsyncConnection
from app.store.sums import Dimension, View, assigned_units, breakdown_sums, cutoff_day_sums, day_sums


async def ask(
    connection: AsyncConnection, name: str, *, as_of: datetime | None, phase: int | None, view: View, zone: ZoneInfo
) -> Question:
    """The question, completed: now, and the latest phase, where none is named."""
    # all figures of one moment
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    experiment = await find(connection, name)
    number = len(experiment.phases) if phase is None else phase
    if not 1 <= number <= len(experiment.phases):
        raise Problem(
            404,
            "unknown_phase",
            f"{name} has phases 1 to {len(experiment.phases)} and {number} was asked",
            field="phase",
            value=number,
        )
    return Question(experiment, experiment.phases[number - 1], as_of or datetime.now(UTC), view, zone)


async def report(connection: AsyncConnection, question: Question) -> Report:
    """The whole report of one phase, read inside this transaction."""
    phase, as_of, view = question.phase, question.as_of, question.view
    rows = await day_sums(connection, phase.id, view)
    partial = await cutoff_day_sums(connection, phase.id, view, question.cutoff)
    assigned = await assigned_units(connection, phase.id, as_of)
    started = (phase.started_at or as_of).date()
    data = await read_guardrails(connection, phase.id, question.arms, started, as_of)
    # seconds, with hundreds of days and many arms
    return await asyncio.to_thread(compose, question, rows, partial, assigned, data)


async def breakdown(connection: AsyncConnection, question: Question, dimension: Dimension) -> Breakdown:
    """CTCVR of every treatment by one property of the texts, with Benjamini–Hochberg marks."""
    sums = await breakdown_sums(connection, question.phase.id, question.view, question.cutoff, dimension)
    nothing = FunnelSums(*([0] * 10))
    pairs = [
        (value, number, sums.get((value, number), nothing).ctcvr, sums.get((value, 0), nothing).ctcvr)
        for value in sorted({value for value, _ in sums})
        for number in range(1, len(question.arms))
    ]
    compared = [
        compare_arms([treatment], control, planned_units=question.experiment.planned_units)[0]
        for _, _, treatment, control in pairs
    ]
    adjusted = adjust([one.shown.p_value for one in compared], benjamini_hochberg)
    rows = [
        BreakdownRow(
            value=value,
            arm=question.arms[number].name,
            control=rate(control),
            treatment=rate(treatment),
            lift=LiftAnswer.of(one.shown),
            adjusted_p=p,
            marked=p is not None and p < ALPHA,
        )
        for (value, number, treatment, control), one, p in zip(pairs, compared, adjusted, strict=True)
    ]
    warning = f"{len(rows)} comparisons: about one in twenty would stand out by chance alone. Marks are adjusted for that; decide on the whole."
    return Breakdown(
        experiment=question.experiment.name,
        phase=question.phase.number,
        dimension=dimension,
        view=question.view,
        as_of=question.as_of.astimezone(question.zone),
        warning=warning,
        rows=rows,
    )
