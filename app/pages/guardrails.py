"""The table of guardrails: one row per guardrail, one cell per arm, and a word where a limit is violated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from abtest.document import ArmGuardrails
from app.pages.formats import change, count, number, rate, span

TAU_COMPLIANCE, TAU_DIVERSITY = 0.94, 0.82  # τ_q and τ_d of eq. 1: the limits that a policy is trained to hold


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    note: str = ""
    tone: str = ""  # bad or warn, always with a word


@dataclass(frozen=True, slots=True)
class GuardrailRow:
    name: str
    hint: str
    cells: Sequence[Cell]


def guardrail_rows(arms: Sequence[ArmGuardrails]) -> list[GuardrailRow]:
    """The rows of the table. The cells of a row begin with the control."""

    def row(name: str, hint: str, cell: Callable[[ArmGuardrails], Cell]) -> GuardrailRow:
        return GuardrailRow(name, hint, [cell(arm) for arm in arms])

    return [
        row("Compliance Rate", "raw candidates that pass, eq. 11", _compliance),
        row("Judge passes", "of compliant texts that it looked at", _judge),
        row("Served violations", "impressions; must be 0", _violations),
        row("Diversity", "of the policy's latest texts, eq. 12", _diversity),
        row("Impressions per unit", "at most 2 % fewer than control", _per_unit),
        row("Requests", "", lambda arm: Cell(count(arm.requests))),
        row("Answers without a text", "of requests", lambda arm: Cell(rate(arm.no_ad_share))),
        row("Fallback", "of requests", lambda arm: Cell(rate(arm.fallback_share))),
        row(
            "Response latency, 95th percentile",
            "ms, to within 5 %",
            lambda arm: Cell(number(arm.p95_latency_ms, 1)),
        ),
    ]


def _compliance(arm: ArmGuardrails) -> Cell:
    candidates = sum(rules.candidates for rules in arm.compliance)
    low = arm.compliance_rate is not None and arm.compliance_rate < TAU_COMPLIANCE
    note = f"of {candidates:,} candidates" if candidates else "no candidates"
    return Cell(
        rate(arm.compliance_rate), f"{note}, under {TAU_COMPLIANCE:.0%}" if low else note, "warn" if low else ""
    )


def _judge(arm: ArmGuardrails) -> Cell:
    return Cell(rate(arm.judge_pass_share), f"of {arm.judged:,} texts" if arm.judged else "no texts judged")


def _violations(arm: ArmGuardrails) -> Cell:
    return Cell(
        count(arm.served_violations), *(("violations were shown", "bad") if arm.served_violations else ("", ""))
    )


def _diversity(arm: ArmGuardrails) -> Cell:
    low = arm.diversity is not None and arm.diversity < TAU_DIVERSITY
    return Cell(number(arm.diversity), *((f"under {TAU_DIVERSITY}", "warn") if low else ("", "")))


def _per_unit(arm: ArmGuardrails) -> Cell:
    lift = arm.impressions_per_unit_lift
    if lift is None or lift.value is None:
        return Cell(number(arm.impressions_per_unit))
    held = "held" if arm.impressions_per_unit_held else "not yet shown to hold"
    return Cell(number(arm.impressions_per_unit), f"{change(lift.value)} {span(lift)}, {held}")
