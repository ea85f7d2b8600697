"""The outcome of one phase: sums, sample-ratio checks, comparisons, verdicts, and which interval decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Literal

from abtest.document import Metric, PhaseAnswer, SampleRatioAnswer, VerdictAnswer
from abtest.planning import days_to_go
from abtest.ratio_check import sequential_sample_ratio
from abtest.sums import FunnelSums
from abtest.verdict import Comparison, Decision, compare_arms, decision, verdict
from app.services.reports.counts import PhaseCounts
from app.services.reports.question import Question
from app.store.sums import DaySums, RunningSums

METRICS: tuple[Metric, ...] = ("ctcvr", "ctr", "cvr")


@dataclass(frozen=True, slots=True)
class Outcome:
    sums: Sequence[FunnelSums]  # mature, by arm
    ratios: Sequence[SampleRatioAnswer]
    compared: Mapping[Metric, Sequence[Comparison]]
    verdicts: Sequence[VerdictAnswer]
    decision: Decision

    @property
    def units(self) -> int:
        return sum(arm.n for arm in self.sums)

    @property
    def headline(self) -> str:
        return " ".join(dict.fromkeys(verdict.sentence for verdict in self.verdicts))


def outcome(question: Question, counts: PhaseCounts) -> Outcome:
    """Compute the outcome from the counts of one phase. A pure function."""
    sums = counts.sums(len(question.arms))
    ratios = sample_ratios(question, counts, sums)
    compared = {metric: _compare(question, sums, metric) for metric in METRICS}
    decided_on, decisive = _decisive_sums(question, counts.mature)
    deciding = compared["ctcvr"] if decided_on is None else _compare(question, decisive, "ctcvr")
    alarm = any(ratio.alarm for ratio in ratios)
    verdicts = [
        VerdictAnswer(
            arm=arm.name,
            **asdict(verdict(comparison, name=arm.name, final=decided_on is not None, alarm=alarm)),
        )
        for arm, comparison in zip(question.arms[1:], deciding, strict=True)
    ]
    return Outcome(sums, ratios, compared, verdicts, _decision(question, counts, decided_on))


def sample_ratios(question: Question, counts: PhaseCounts, sums: Sequence[FunnelSums]) -> list[SampleRatioAnswer]:
    """The sample-ratio checks of a phase, on its assigned and on its exposed units."""
    return [
        _sample_ratio(question, "assigned", [counts.assigned.get(arm, 0) for arm in range(len(sums))]),
        _sample_ratio(question, "exposed", [arm.n for arm in sums]),
    ]


def phase_answer(question: Question, found: Outcome) -> PhaseAnswer:
    """The outcome of a phase in a few words, for lists of phases."""
    return PhaseAnswer(
        phase=question.phase.number,
        started_at=question.phase.started_at,
        ended_at=question.phase.ended_at,
        weights={arm.name: arm.weight for arm in question.arms},
        units=found.units,
        verdicts=list(found.verdicts),
        headline=found.headline,
    )


def _compare(question: Question, sums: Sequence[FunnelSums], metric: Metric) -> list[Comparison]:
    control, *treatments = [getattr(arm, metric) for arm in sums]
    return compare_arms(treatments, control, planned_units=question.planned_units)


def _decisive_sums(question: Question, mature: Sequence[DaySums]) -> tuple[date | None, list[FunnelSums]]:
    """The first whole UTC day at whose end the planned units are mature, and the sums up to then.

    The fixed interval uses only these sums: later data would be another look.
    """
    so_far = [RunningSums() for _ in question.arms]
    for day, rows in groupby(mature, key=lambda row: row.day):
        if day >= question.cutoff_day:
            break
        for row in rows:
            so_far[row.arm].add(row)
        sums = [arm.sums for arm in so_far]
        if sum(arm.n for arm in sums) >= question.planned_units:
            return day, sums
    return None, []


def _decision(question: Question, counts: PhaseCounts, decided_on: date | None) -> Decision:
    units, in_sight = (round(sum(row.n for row in rows)) for rows in (counts.mature, counts.rows))
    ended = question.phase.ended_at is not None and in_sight < question.planned_units
    return decision(
        planned_units=question.planned_units,
        units=units,
        ended=ended,
        decided_on=decided_on,
        expected_on=_expected_on(question, counts.mature, units),
    )


def _expected_on(question: Question, mature: Sequence[DaySums], units: int) -> date | None:
    """The day on which the planned units are mature at the current rate; None while the rate is unknown."""
    if not mature or question.phase.ended_at is not None:
        return None
    pace = units / ((mature[-1].day - mature[0].day).days + 1)
    days = days_to_go(question.planned_units, units, pace)
    today = question.as_of.astimezone(question.zone).date()
    return None if days is None or days > 3650 else today + timedelta(days=days)


def _sample_ratio(question: Question, counted: Literal["assigned", "exposed"], counts: list[int]) -> SampleRatioAnswer:
    weights = [arm.weight for arm in question.arms]
    found = sequential_sample_ratio(counts, weights, planned_units=question.planned_units)
    return SampleRatioAnswer(
        counted=counted, counts=counts, weights=weights, p_value=found.p_value, alarm=found.alarm, note=found.note
    )
