"""The report as a document, composed from sums alone: what was asked, what was counted, what may be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Literal
from zoneinfo import ZoneInfo

from abtest.attribution import LATENESS
from abtest.document import (
    ArmAnswer,
    Banner,
    CohortPoint,
    DayPoint,
    LiftAnswer,
    MethodAnswer,
    Metric,
    MetricAnswer,
    Rate,
    Report,
    SampleRatioAnswer,
    VerdictAnswer,
)
from abtest.lift import ratio_lift
from abtest.sequential import always_valid_lift
from abtest.stats import sample_ratio
from abtest.sums import FunnelSums, UnitSums
from abtest.verdict import ALPHA, Comparison, compare_arms, decision, verdict
from app.services.experiments.lifecycle import ArmRecord, ExperimentRecord, PhaseRecord
from app.services.reports.guardrails import GuardrailData, guardrails
from app.store.sums import DaySums, RunningSums, View, cutoff_of, funnel_sums

METRICS: tuple[Metric, ...] = ("ctcvr", "ctr", "cvr")
FORMULAS = [
    "ΔCTCVR = R_T / R_C − 1, R = Σy / Σx over units with a mature counted impression (x impressions, y counted "
    "conversions)",
    "v = (Σyy − 2R·Σxy + R²·Σxx) / ((n − 1)·n·x̄²)   delta method over units",
    "fixed: Fieller's interval, unpooled and normal; exact conditional, deflated by the design effect, under 10 "
    "effective conversions",
    "always valid: Fieller's with c = √(((n+ρ)/n)·ln((n+ρ)/(ρα²))), tuned to the planned units",
    "Holm over the treatments; sample-ratio alarm at p < 0.001; days are UTC days of the impression",
]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: which experiment and phase, as of when, in which view, shown in which time zone."""

    experiment: ExperimentRecord
    phase: PhaseRecord
    as_of: datetime
    view: View
    zone: ZoneInfo

    @property
    def window(self) -> timedelta:
        return timedelta(hours=self.experiment.window_hours)

    @property
    def cutoff(self) -> datetime:
        return cutoff_of(self.as_of, self.window, LATENESS)

    @property
    def arms(self) -> tuple[ArmRecord, ...]:
        return self.phase.arms


def compose(
    question: Question,
    rows: Sequence[DaySums],
    partial: Sequence[DaySums],
    assigned: Mapping[int, int],
    data: GuardrailData,
) -> Report:
    """Sums in, document out."""
    day = question.cutoff.astimezone(UTC).date()
    mature = sorted([row for row in rows if row.day < day] + list(partial), key=lambda row: row.day)
    sums = [funnel_sums(row for row in mature if row.arm == arm) for arm in range(len(question.arms))]
    arms = [_arm(question, number, sums[number], mature, rows, assigned.get(number, 0)) for number in range(len(sums))]
    ratios = [
        _sample_ratio("assigned", [arm.assigned_units for arm in arms], question.arms),
        _sample_ratio("exposed", [arm.units for arm in arms], question.arms),
    ]
    planned = question.experiment.planned_units
    compared = {
        metric: compare_arms(
            [getattr(one, metric) for one in sums[1:]], getattr(sums[0], metric), planned_units=planned
        )
        for metric in METRICS
    }
    verdicts = _verdicts(question, sums, compared["ctcvr"], alarm=any(ratio.alarm for ratio in ratios))
    units, planned_units = sum(arm.n for arm in sums), question.experiment.planned_units
    decided = decision(
        planned_units=planned_units,
        units=units,
        ended=question.phase.ended_at is not None,
        decided_on=day if units >= planned_units else None,
    )
    blocks = guardrails(question.arms, sums, data)
    return Report(
        experiment=question.experiment.name,
        state=question.experiment.state,
        phase=question.phase.number,
        phases=len(question.experiment.phases),
        view=question.view,
        tz=question.zone.key,
        headline=" ".join(dict.fromkeys(one.sentence for one in verdicts)),
        verdicts=verdicts,
        decided_by=decided.decided_by,
        decision=decided.sentence,
        banners=_banners(arms, ratios, compared["ctcvr"], sum(block.served_violations for block in blocks)),
        arms=arms,
        metrics=[row for number in range(1, len(sums)) for row in _metrics(question, sums, compared, number)],
        sample_ratio=ratios,
        guardrails=blocks,
        daily=_daily(question, mature),
        cohorts=_cohorts(question, mature),
        method=_method(question, sums),
    )


def _arm(
    question: Question, number: int, sums: FunnelSums, mature: Sequence[DaySums], rows: Sequence[DaySums], assigned: int
) -> ArmAnswer:
    arm = question.arms[number]
    mine = [row for row in mature if row.arm == number]
    everything = [row for row in rows if row.arm == number]
    return ArmAnswer(
        arm=arm.name,
        policy=arm.policy,
        weight=arm.weight,
        assigned_units=assigned,
        units=sums.n,
        impressions=int(sums.impressions),
        clicks=int(sums.clicks),
        conversions=int(sums.conversions),
        ctr=sums.ctr.ratio,
        cvr=sums.cvr.ratio,
        ctcvr=sums.ctcvr.ratio,
        effective_conversions=sums.ctcvr.effective_conversions,
        design_effect=sums.ctcvr.design_effect,
        immature_impressions=int(sum(row.impressions for row in everything) - sums.impressions),
        immature_clicks=int(sum(row.clicks for row in everything) - sums.clicks),
        immature_conversions=int(sum(row.conversions for row in everything) - sums.conversions),
        invalid_impressions=int(sum(row.impressions_in_all for row in mine) - sums.impressions),
        units_in_two_arms=sum(row.units_in_two_arms for row in mine),
    )


def _sample_ratio(
    counted: Literal["assigned", "exposed"], counts: list[int], arms: Sequence[ArmRecord]
) -> SampleRatioAnswer:
    weights = [arm.weight for arm in arms]
    found = sample_ratio(counts, weights)
    return SampleRatioAnswer(
        counted=counted, counts=counts, weights=weights, p_value=found.p_value, alarm=found.alarm, note=found.note
    )


def _verdicts(
    question: Question, sums: Sequence[FunnelSums], compared: Sequence[Comparison], *, alarm: bool
) -> list[VerdictAnswer]:
    final = sum(arm.n for arm in sums) >= question.experiment.planned_units
    return [
        VerdictAnswer(arm=arm.name, **asdict(verdict(one, name=arm.name, final=final, alarm=alarm)))
        for arm, one in zip(question.arms[1:], compared, strict=True)
    ]


def _banners(
    arms: Sequence[ArmAnswer], ratios: Sequence[SampleRatioAnswer], compared: Sequence[Comparison], violations: int
) -> list[Banner]:
    banners = [
        Banner(
            kind="sample_ratio",
            level="alarm",
            sentence=f"The {one.counted} units do not fall into the arms as configured "
            f"({one.note or f'p = {one.p_value:.2g}'}): units were lost or counted twice, and the arms cannot be "
            "compared.",
        )
        for one in ratios
        if one.alarm
    ]
    if violations:
        sentence = f"{violations:,} impressions of texts in which a reviewer or later rules found a violation: the only good value is 0."
        banners.append(Banner(kind="served_violations", level="alarm", sentence=sentence))
    if crossed := sum(arm.units_in_two_arms for arm in arms):
        sentence = f"{crossed:,} unit appearances in an arm were also shown another: unit ids may be shared, or tokens mixed up."
        banners.append(Banner(kind="two_arms", level="warning", sentence=sentence))
    young, old = sum(arm.immature_impressions for arm in arms), sum(arm.impressions for arm in arms)
    if not old:
        waiting = (
            f": {young:,} impressions wait for their attribution window to close" if young else ", and none are waiting"
        )
        banners.append(Banner(kind="no_data", level="note", sentence=f"No impression is mature yet{waiting}."))
    elif young:
        sentence = f"{young / (young + old):.0%} of the impressions ({young:,}) are too young to be judged and are not counted."
        banners.append(Banner(kind="immature", level="note", sentence=sentence))
    if old and any(one.evidence != "full" for one in compared):
        sentence = (
            "Few conversions: intervals are rough, and no verdict is given under 10 effective conversions in an arm."
        )
        banners.append(Banner(kind="low_counts", level="warning", sentence=sentence))
    return banners


def _metrics(
    question: Question, sums: Sequence[FunnelSums], compared: Mapping[Metric, Sequence[Comparison]], number: int
) -> list[MetricAnswer]:
    rows = []
    for metric in METRICS:
        one = compared[metric][number - 1]
        treatment, control = getattr(sums[number], metric), getattr(sums[0], metric)
        rows.append(
            MetricAnswer(
                arm=question.arms[number].name,
                metric=metric,
                control=rate(control),
                treatment=rate(treatment),
                lift=LiftAnswer.of(one.shown),
                always_valid=LiftAnswer.of(one.always_valid),
                log=LiftAnswer.of(ratio_lift(treatment, control, method="log")),
                adjusted_p=one.adjusted_p,
                adjusted_always_valid_p=one.adjusted_always_valid_p,
                evidence=one.evidence,
            )
        )
    return rows


def rate(sums: UnitSums) -> Rate:
    """A ratio with the counts beneath it."""
    return Rate(numerator=sums.sum_y, denominator=sums.sum_x, value=sums.ratio)


def _daily(question: Question, mature: Sequence[DaySums]) -> list[DayPoint]:
    """The lift as it grew, day by day of the impression, each with the always-valid band of its day."""
    so_far = [RunningSums() for _ in question.arms]
    points = []
    for day, rows in groupby(mature, key=lambda row: row.day):
        for row in rows:
            so_far[row.arm].add(row)
        control = so_far[0].sums
        for number in range(1, len(so_far)):
            treatment = so_far[number].sums
            lift = always_valid_lift(
                treatment.ctcvr, control.ctcvr, planned_units=question.experiment.planned_units, alpha=ALPHA
            )
            units = control.n + treatment.n
            points.append(
                DayPoint(
                    day=day, arm=question.arms[number].name, value=lift.value, low=lift.low, high=lift.high, units=units
                )
            )
    return points


def _cohorts(question: Question, mature: Sequence[DaySums]) -> list[CohortPoint]:
    points = []
    for first_day, rows in groupby(sorted(mature, key=lambda row: row.first_day), key=lambda row: row.first_day):
        cohort = list(rows)
        sums = [funnel_sums(row for row in cohort if row.arm == number) for number in range(len(question.arms))]
        for number in range(1, len(sums)):
            (one,) = compare_arms([sums[number].ctcvr], sums[0].ctcvr, planned_units=question.experiment.planned_units)
            units = sums[0].n + sums[number].n
            lift = one.shown
            points.append(
                CohortPoint(
                    first_day=first_day,
                    arm=question.arms[number].name,
                    value=lift.value,
                    low=lift.low,
                    high=lift.high,
                    units=units,
                )
            )
    return points


def _method(question: Question, sums: Sequence[FunnelSums]) -> MethodAnswer:
    experiment = question.experiment
    return MethodAnswer(
        as_of=question.as_of.astimezone(question.zone),
        cutoff=(question.cutoff - timedelta(microseconds=1)).astimezone(question.zone),
        window_hours=experiment.window_hours,
        lateness_hours=LATENESS / timedelta(hours=1),
        planned_units=experiment.planned_units,
        confidence=1 - ALPHA,
        layer=experiment.layer,
        range=experiment.range,
        salt=question.phase.salt,
        formulas=FORMULAS,
        sums={arm.name: asdict(one) for arm, one in zip(question.arms, sums, strict=True)},
    )
