"""The report of an experiment as a document, which the service returns and clients parse."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from abtest.lift import Evidence, Lift

Metric = Literal["ctcvr", "ctr", "cvr"]
DecidedBy = Literal["fixed", "always_valid"]


class LiftAnswer(BaseModel):
    """A relative change with its interval and p-value. Undefined values are null, and `note` gives the reason."""

    value: float | None = Field(description="R_T / R_C - 1: 0.0919 reads +9.19 %.")
    low: float | None
    high: float | None
    p_value: float | None
    z: float | None
    difference: float | None
    se: float | None
    method: str
    note: str

    @classmethod
    def of(cls, lift: Lift) -> LiftAnswer:
        return cls(**asdict(lift))


class Rate(BaseModel):
    """A ratio and the counts it is computed from."""

    numerator: float
    denominator: float
    value: float | None


class HeavyUnitAnswer(BaseModel):
    """A unit that alone brings over 5 % of its arm's impressions."""

    unit: str = Field(description="The unit's digest, in hexadecimal; the id itself is not stored.")
    impressions: int
    share: float


class SetAsideAnswer(BaseModel):
    """Events that were reported for an arm's served texts but are counted in neither view, mature or not."""

    tokens: int = Field(description="Served texts with an event.")
    orphans: int = Field(description="Of them with a click or conversion and no impression.")
    orphan_share: float = Field(description="orphans / tokens")
    conversions: int = Field(description="Of them with a conversion, counted or not.")
    view_through: int = Field(description="Conversions inside the window without a click before them.")
    view_through_share: float = Field(description="view_through / conversions")
    repeated_orders: int = Field(description="Conversions whose order an earlier conversion has.")
    impressions: int = Field(description="Of the tokens with an impression.")
    shifted: int = Field(
        description="Impressions a whole number of hours after their serving: a clock of another zone."
    )
    shifted_share: float = Field(description="shifted / impressions")
    events: int
    reused_ids: int = Field(description="Events whose event_id another event had already; these do count.")
    reused_id_share: float = Field(description="reused_ids / events")
    unmatched_corrections: int = Field(description="Retractions and restatements of events that never came.")


class ArmAnswer(BaseModel):
    """The counts of one arm, in the view of the report."""

    arm: str
    policy: str
    weight: int = Field(description="Of 10,000.")
    assigned_units: int = Field(description="Units that requested a text.")
    units: int = Field(description="Units with a mature counted impression.")
    impressions: int
    clicks: int
    conversions: int
    ctr: float | None
    cvr: float | None
    ctcvr: float | None
    effective_conversions: float = Field(description="R²/v: how many independent conversions would be as precise.")
    design_effect: float | None
    immature_impressions: int = Field(description="Not yet mature: shown separately and never counted.")
    immature_clicks: int
    immature_conversions: int
    invalid_impressions: int = Field(
        description="Left out by the valid view: bots, prefetches, clicks faster than a person, and what the sender "
        "reported as invalid."
    )
    units_in_two_arms: int = Field(description="Units that saw this arm and another one: excluded from all figures.")
    units_that_changed_arm: int = Field(description="Units that an earlier phase assigned to another arm.")
    heavy_units: list[HeavyUnitAnswer] = Field(description="Largest first.")
    set_aside: SetAsideAnswer


class VerdictAnswer(BaseModel):
    arm: str
    status: str
    sentence: str
    decided_by: DecidedBy


class PhaseAnswer(BaseModel):
    """A summary of one phase of the experiment. Phases are never summed."""

    phase: int
    started_at: datetime | None
    ended_at: datetime | None
    weights: dict[str, int] = Field(description="Of 10,000, by arm.")
    units: int = Field(description="Units with a mature counted impression, in all arms.")
    verdicts: list[VerdictAnswer]
    headline: str


class MetricAnswer(BaseModel):
    """One metric of one treatment against control."""

    arm: str
    metric: Metric
    control: Rate
    treatment: Rate
    lift: LiftAnswer = Field(
        description="Valid for one look: Fieller's interval; exact below 10 effective conversions in an arm."
    )
    always_valid: LiftAnswer = Field(
        description="Valid at all looks together. With few conversions in one arm, a test of the share of conversions."
    )
    log: LiftAnswer = Field(description="On the log scale, where ln CTCVR = ln CTR + ln CVR.")
    adjusted_p: float | None = Field(description="Adjusted by Holm over the treatments. That of CTCVR decides.")
    adjusted_always_valid_p: float | None
    evidence: Evidence = Field(
        description="counts: under 10 effective conversions in both arms; one_low: in one arm; tagged: under 50 in an "
        "arm; full: 50 or more in both."
    )


class Banner(BaseModel):
    """A warning that is shown above the figures."""

    kind: Literal[
        "sample_ratio",
        "served_violations",
        "two_arms",
        "heavy_unit",
        "set_aside",
        "low_counts",
        "no_data",
        "immature",
        "changed_arm",
    ]
    level: Literal["alarm", "warning", "note"]
    sentence: str


class SampleRatioAnswer(BaseModel):
    counted: Literal["assigned", "exposed"]
    counts: list[int]
    weights: list[int]
    p_value: float | None = Field(description="Valid at all looks together.")
    alarm: bool
    note: str


class DayPoint(BaseModel):
    """A treatment's ΔCTCVR, cumulative to the end of a day of the report's time zone, with the always-valid band."""

    day: date
    arm: str
    value: float | None
    low: float | None
    high: float | None
    units: int = Field(description="In both arms, so far.")


class CohortPoint(BaseModel):
    """A treatment's ΔCTCVR over the units whose first impression came on a day: a novelty effect fades over the
    days."""

    first_day: date
    arm: str
    value: float | None
    low: float | None
    high: float | None
    units: int


class RulesCompliance(BaseModel):
    rules_version: str
    candidates: int
    compliant: int


class ArmGuardrails(BaseModel):
    """The guardrails of one arm: metrics that must not get worse."""

    arm: str
    compliance_rate: float | None = Field(
        description="Share of the policy's raw candidates that pass, before any filter (eq. 11)."
    )
    compliance: list[RulesCompliance]
    judged: int = Field(default=0, description="Compliant texts of the policy that the judge looked at.")
    judge_pass_share: float | None = Field(
        default=None, description="Of them passed as true to their brief and well written."
    )
    served_violations: int = Field(
        description="Impressions of texts in which a reviewer or later rules found a violation; the only good value "
        "is 0."
    )
    diversity: float | None = Field(description="Diversity of the policy's latest texts (eq. 12).")
    requests: int
    no_ad_share: float | None
    fallback_share: float | None
    p95_latency_ms: float | None = Field(description="Response latency, 95th percentile, to within 5 %.")
    impressions_per_unit: float | None
    impressions_per_unit_lift: LiftAnswer | None = Field(description="Compared with the control; null for the control.")
    impressions_per_unit_held: bool | None = Field(
        description="Not worse by more than 2 %, one-sided test at 2.5 %; false may mean too few data."
    )


class MethodAnswer(BaseModel):
    """How the figures were computed, with all sums."""

    as_of: datetime
    cutoff: datetime = Field(description="Impressions up to then are mature: impression + window + lateness <= as_of.")
    window_hours: float
    lateness_hours: float
    planned_units: int
    confidence: float
    layer: str
    range: tuple[int, int]
    salt: str
    formulas: list[str]
    sums: dict[str, dict[str, float]] = Field(
        description="FunnelSums by arm: all that the statistics were computed from."
    )


class Report(BaseModel):
    """An experiment's report, one phase, one view."""

    experiment: str
    state: str
    phase: int
    phases: int
    phase_results: list[PhaseAnswer] = Field(description="Every phase of the experiment, in order.")
    view: Literal["valid", "all"]
    tz: str
    headline: str = Field(description="The verdict in one sentence.")
    verdicts: list[VerdictAnswer] = Field(description="One per treatment.")
    decided_by: DecidedBy = Field(description="The interval that decides: fixed or always_valid.")
    decision: str = Field(description="Which interval decides, why, and until when, in one sentence.")
    banners: list[Banner] = Field(description="Shown above all figures.")
    arms: list[ArmAnswer] = Field(description="Control first.")
    metrics: list[MetricAnswer]
    sample_ratio: list[SampleRatioAnswer]
    guardrails: list[ArmGuardrails]
    daily: list[DayPoint]
    cohorts: list[CohortPoint]
    method: MethodAnswer

    def rows(self) -> list[dict[str, Any]]:
        """One flat row per treatment and metric: the table, the CSV and the Parquet file."""
        return [_row(self, metric) for metric in self.metrics]


class BreakdownRow(BaseModel):
    """One value of a property: one treatment compared with the control."""

    value: str
    arm: str
    control: Rate
    treatment: Rate
    lift: LiftAnswer
    adjusted_p: float | None = Field(
        description="Adjusted by Benjamini–Hochberg over all rows: on average at most 5 % of the marks are false. Null "
        "where nothing is tested."
    )
    marked: bool


class Breakdown(BaseModel):
    """CTCVR by one property of the texts."""

    experiment: str
    phase: int
    dimension: Literal["locale", "industry", "platform", "source"]
    view: Literal["valid", "all"]
    as_of: datetime
    warning: str = Field(description="The number of comparisons, and how to use them.")
    rows: list[BreakdownRow]


def _row(report: Report, metric: MetricAnswer) -> dict[str, Any]:
    sides = {
        f"{side}_{name}": value
        for side, rate in (("control", metric.control), ("treatment", metric.treatment))
        for name, value in rate.model_dump().items()
    }
    lifts = {
        f"{kind}_{name}": getattr(lift, name)
        for kind, lift in (("lift", metric.lift), ("always_valid", metric.always_valid))
        for name in ("value", "low", "high", "p_value", "z", "method", "note")
    }
    return {
        "experiment": report.experiment,
        "phase": report.phase,
        "view": report.view,
        "as_of": report.method.as_of,
        "control": report.arms[0].arm,
        "arm": metric.arm,
        "metric": metric.metric,
        **sides,
        **lifts,
        "adjusted_p": metric.adjusted_p,
        "adjusted_always_valid_p": metric.adjusted_always_valid_p,
        "evidence": metric.evidence,
    }
