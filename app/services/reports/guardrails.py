"""The guardrails of a report: metrics that must not get worse."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from abtest.document import ArmGuardrails, LiftAnswer, RulesCompliance
from abtest.stats import non_inferiority
from abtest.sums import FunnelSums, UnitSums
from adtext.brief import AdBrief, AdText
from adtext.ngrams import WINDOW, FrequentNgrams, diversity
from app.services.experiments.lifecycle import ArmRecord
from app.store.database import AsyncConnection
from app.store.guardrails import Compliance, compliance, latest_texts, served_violations
from app.store.requests import Requests, requests_of

MARGIN = 0.02  # relative: a smaller loss of impressions per unit is tolerated


@dataclass(frozen=True, slots=True)
class GuardrailData:
    """The data of the guardrails, by arm or policy version."""

    requests: Mapping[int, Requests]
    violations: Mapping[int, int]
    compliance: Sequence[Compliance]
    diversity: Mapping[str, float | None]


async def read_guardrails(
    connection: AsyncConnection, phase_id: int, arms: Sequence[ArmRecord], first: date, as_of: datetime
) -> GuardrailData:
    versions = sorted({arm.policy for arm in arms})
    texts = {version: await latest_texts(connection, version, as_of, WINDOW) for version in versions}
    return GuardrailData(
        await requests_of(connection, phase_id, as_of.date()),
        await served_violations(connection, phase_id, as_of),
        await compliance(connection, versions, first, as_of.date()),
        {version: await asyncio.to_thread(_diversity, written) for version, written in texts.items()},
    )


def guardrails(arms: Sequence[ArmRecord], sums: Sequence[FunnelSums], data: GuardrailData) -> list[ArmGuardrails]:
    """One block per arm. The control comes first."""
    return [_guardrails(number, arms, sums, data) for number in range(len(arms))]


def _guardrails(
    number: int, arms: Sequence[ArmRecord], sums: Sequence[FunnelSums], data: GuardrailData
) -> ArmGuardrails:
    arm, requests = arms[number], data.requests.get(number, Requests([]))
    counted = [rules for rules in data.compliance if rules.version == arm.policy]
    candidates = sum(rules.candidates for rules in counted)
    judged = sum(rules.judged for rules in counted)
    held = non_inferiority(_per_unit(sums[number]), _per_unit(sums[0]), margin=MARGIN) if number else None
    return ArmGuardrails(
        arm=arm.name,
        compliance_rate=sum(rules.compliant for rules in counted) / candidates if candidates else None,
        compliance=[
            RulesCompliance(rules_version=rules.rules_version, candidates=rules.candidates, compliant=rules.compliant)
            for rules in counted
        ],
        judged=judged,
        judge_pass_share=sum(rules.passed for rules in counted) / judged if judged else None,
        served_violations=data.violations.get(number, 0),
        diversity=data.diversity[arm.policy],
        requests=requests.total,
        no_ad_share=requests.without_text / requests.total if requests.total else None,
        fallback_share=requests.fallback / requests.total if requests.total else None,
        p95_latency_ms=requests.latency_ms(0.95),
        impressions_per_unit=_per_unit(sums[number]).ratio,
        impressions_per_unit_lift=LiftAnswer.of(held.lift) if held else None,
        impressions_per_unit_held=held.passed if held else None,
    )


def _per_unit(sums: FunnelSums) -> UnitSums:
    """Impressions per unit: a mean, as a ratio with x = 1 for every unit."""
    return UnitSums(sums.n, sums.n, sums.impressions, sums.n, sums.sum_ii, sums.impressions)


def _diversity(written: Sequence[tuple[AdBrief, AdText]]) -> float | None:
    """Diversity of a policy's latest texts (eq. 12); None without any."""
    if not written:
        return None
    frequent = FrequentNgrams()
    by_brief: dict[AdBrief, list[AdText]] = {}
    for brief, ad in written:
        by_brief.setdefault(brief, []).append(ad)
    for brief, texts in by_brief.items():
        frequent.observe(brief, texts)
    return diversity([ad for _, ad in written], frequent, [brief for brief, _ in written])
