"""Composes the report document from counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta

from abtest.attribution import LATENESS
from abtest.document import (
    ArmAnswer,
    HeavyUnitAnswer,
    LiftAnswer,
    MethodAnswer,
    Metric,
    MetricAnswer,
    PhaseAnswer,
    Rate,
    Report,
    SetAsideAnswer,
)
from abtest.lift import ratio_lift
from abtest.sums import FunnelSums, UnitSums
from abtest.verdict import ALPHA, Comparison
from app.services.reports.banners import banners
from app.services.reports.counts import PhaseCounts
from app.services.reports.guardrails import GuardrailData, guardrails
from app.services.reports.outcome import METRICS, outcome, phase_answer
from app.services.reports.question import Question
from app.services.reports.series import cohorts, daily
from app.store.quality import EventQuality

FORMULAS = [
    "ΔCTCVR = R_T / R_C − 1, R = Σy / Σx over units with a mature counted impression (x impressions, y counted "
    "conversions); units seen in two arms are left out",
    "v = (Σyy − 2R·Σxy + R²·Σxx) / ((n − 1)·n·x̄²)   delta method over units",
    "fixed: Fieller's interval, unpooled and normal; conditional Clopper–Pearson on counts divided by the design "
    "effect where an arm has under 10 effective conversions",
    "always valid: Fieller's with c = √(((n+ρ)/n)·ln((n+ρ)/(ρα²))), tuned to the planned units; with one arm under 10 "
    "effective conversions the beta-mixture sequential binomial test of its share of conversions",
    "Holm over the treatments; sample ratio: sequential Dirichlet–multinomial test, alarm at p < 0.001",
]


def compose(
    question: Question, counts: PhaseCounts, data: GuardrailData, other_phases: Sequence[PhaseAnswer] = ()
) -> Report:
    """Compose the report document from the counts."""
    found = outcome(question, counts)
    arms = [_arm(question, number, sums, counts) for number, sums in enumerate(found.sums)]
    blocks = guardrails(question.arms, found.sums, data)
    violations = sum(block.served_violations for block in blocks)
    return Report(
        experiment=question.experiment.name,
        state=question.experiment.state,
        phase=question.phase.number,
        phases=len(question.experiment.phases),
        phase_results=sorted([phase_answer(question, found), *other_phases], key=lambda answer: answer.phase),
        view=question.view,
        tz=question.zone.key,
        headline=found.headline,
        verdicts=list(found.verdicts),
        decided_by=found.decision.decided_by,
        decision=found.decision.sentence,
        banners=banners(arms, found.ratios, found.compared["ctcvr"], violations),
        arms=arms,
        metrics=[
            row for number in range(1, len(arms)) for row in _metrics(question, found.sums, found.compared, number)
        ],
        sample_ratio=list(found.ratios),
        guardrails=blocks,
        daily=daily(question, counts.by_day),
        cohorts=cohorts(question, counts.by_day),
        method=_method(question, found.sums),
    )


def _arm(question: Question, number: int, sums: FunnelSums, counts: PhaseCounts) -> ArmAnswer:
    arm = question.arms[number]
    mature = [row for row in counts.mature if row.arm == number]
    everything = [row for row in counts.rows if row.arm == number]
    return ArmAnswer(
        arm=arm.name,
        policy=arm.policy,
        weight=arm.weight,
        assigned_units=counts.assigned.get(number, 0),
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
        invalid_impressions=int(sum(row.impressions_in_all for row in mature) - sums.impressions),
        units_in_two_arms=sum(row.units_in_two_arms for row in everything),
        units_that_changed_arm=counts.changed.get(number, 0),
        heavy_units=[
            HeavyUnitAnswer(
                unit=unit.digest.hex(), impressions=unit.impressions, share=unit.impressions / sums.impressions
            )
            for unit in counts.heavy.get(number, ())
        ],
        set_aside=_set_aside(counts.quality.get(number, EventQuality())),
    )


def _set_aside(quality: EventQuality) -> SetAsideAnswer:
    return SetAsideAnswer(
        **asdict(quality),
        orphan_share=quality.orphan_share,
        view_through_share=quality.view_through_share,
        shifted_share=quality.shifted_share,
        reused_id_share=quality.reused_id_share,
    )


def _metrics(
    question: Question, sums: Sequence[FunnelSums], compared: Mapping[Metric, Sequence[Comparison]], number: int
) -> list[MetricAnswer]:
    rows = []
    for metric in METRICS:
        comparison = compared[metric][number - 1]
        treatment, control = getattr(sums[number], metric), getattr(sums[0], metric)
        rows.append(
            MetricAnswer(
                arm=question.arms[number].name,
                metric=metric,
                control=rate(control),
                treatment=rate(treatment),
                lift=LiftAnswer.of(comparison.shown),
                always_valid=LiftAnswer.of(comparison.always_valid),
                log=LiftAnswer.of(ratio_lift(treatment, control, method="log")),
                adjusted_p=comparison.adjusted_p,
                adjusted_always_valid_p=comparison.adjusted_always_valid_p,
                evidence=comparison.evidence,
            )
        )
    return rows


def rate(sums: UnitSums) -> Rate:
    """A ratio and the counts it is computed from."""
    return Rate(numerator=sums.sum_y, denominator=sums.sum_x, value=sums.ratio)


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
        sums={arm.name: asdict(total) for arm, total in zip(question.arms, sums, strict=True)},
    )
