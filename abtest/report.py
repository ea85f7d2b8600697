"""The report of an experiment: the document the service answers with, and a client of it for notebooks.

from abtest import report
result = report("http://localhost:8080", "title-test", key="rk_…")
result            # a table
result.plot()     # lifts on a shared axis, and their course over the days
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from abtest.lift import Lift
from abtest.verdict import interval, percent

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

Metric = Literal["ctcvr", "ctr", "cvr"]


class LiftAnswer(BaseModel):
    """A relative change with its interval and p; what is undefined is null, and `note` says why."""

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
    """A ratio with the counts beneath it."""

    numerator: float
    denominator: float
    value: float | None


class ArmAnswer(BaseModel):
    """What was counted of one arm, in the view of the report."""

    arm: str
    policy: str
    weight: int = Field(description="Of 10,000.")
    assigned_units: int = Field(description="Units that asked for a text.")
    units: int = Field(description="Units with a mature counted impression.")
    impressions: int
    clicks: int
    conversions: int
    ctr: float | None
    cvr: float | None
    ctcvr: float | None
    effective_conversions: float = Field(description="R²/v: how many independent conversions would be as precise.")
    design_effect: float | None
    immature_impressions: int = Field(description="Too young to be judged: shown beside, never counted.")
    immature_clicks: int
    immature_conversions: int
    invalid_impressions: int = Field(
        description="Left out by the valid view: bots, prefetches, too fast clicks, and what was reported so."
    )
    units_in_two_arms: int


class MetricAnswer(BaseModel):
    """One metric of one treatment against control."""

    arm: str
    metric: Metric
    control: Rate
    treatment: Rate
    lift: LiftAnswer = Field(description="Fieller's; exact under 10 effective conversions in an arm.")
    always_valid: LiftAnswer = Field(description="Holds at all looks together.")
    log: LiftAnswer = Field(description="On the log scale, where ln CTCVR = ln CTR + ln CVR.")
    adjusted_p: float | None = Field(description="Holm's over the treatments; of CTCVR it decides.")
    adjusted_always_valid_p: float | None
    evidence: Literal["counts", "tagged", "full"]


class VerdictAnswer(BaseModel):
    arm: str
    status: str
    sentence: str
    decided_by: Literal["fixed", "always_valid"]


class Banner(BaseModel):
    """What to read before anything else."""

    kind: Literal["sample_ratio", "two_arms", "immature", "low_counts", "no_data", "served_violations"]
    level: Literal["alarm", "warning", "note"]
    sentence: str


class SampleRatioAnswer(BaseModel):
    counted: Literal["assigned", "exposed"]
    counts: list[int]
    weights: list[int]
    p_value: float | None
    alarm: bool
    note: str


class DayPoint(BaseModel):
    """A treatment's ΔCTCVR, cumulative to the end of a day, with the band that holds at all days together."""

    day: date
    arm: str
    value: float | None
    low: float | None
    high: float | None
    units: int = Field(description="In both arms, so far.")


class CohortPoint(BaseModel):
    """A treatment's ΔCTCVR over the units first shown it on a day: a novelty effect fades from left to right."""

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
    """What must not get worse while CTCVR gets better."""

    arm: str
    compliance_rate: float | None = Field(
        description="Share of the policy's raw candidates that pass, before any filter (eq. 11)."
    )
    compliance: list[RulesCompliance]
    served_violations: int = Field(
        description="Impressions of texts in which a reviewer or later rules found a violation; the only good value "
        "is 0."
    )
    diversity: float | None = Field(description="Of the policy's latest texts (eq. 12).")
    requests: int
    no_ad_share: float | None
    fallback_share: float | None
    p95_latency_ms: float | None = Field(description="To within 5 %.")
    impressions_per_unit: float | None
    impressions_per_unit_lift: LiftAnswer | None = Field(description="Against control; null for control itself.")
    impressions_per_unit_held: bool | None = Field(
        description="Not worse by more than 2 %, one-sided 2.5 %; false may only be unknown yet."
    )


class MethodAnswer(BaseModel):
    """How it was computed, to the last sum."""

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
    view: Literal["valid", "all"]
    tz: str
    headline: str = Field(description="The verdict in one sentence.")
    verdicts: list[VerdictAnswer] = Field(description="One a treatment.")
    banners: list[Banner] = Field(description="To be shown above everything.")
    arms: list[ArmAnswer] = Field(description="Control first.")
    metrics: list[MetricAnswer]
    sample_ratio: list[SampleRatioAnswer]
    guardrails: list[ArmGuardrails]
    daily: list[DayPoint]
    cohorts: list[CohortPoint]
    method: MethodAnswer

    def rows(self) -> list[dict[str, Any]]:
        """One flat row a treatment and metric: the table, the CSV and the Parquet file."""
        return [_row(self, metric) for metric in self.metrics]

    def table(self) -> pd.DataFrame:
        """The rows as a pandas data frame."""
        import pandas

        return pandas.DataFrame(self.rows())

    def plot(self) -> go.Figure:
        """Lifts on a shared axis centred at zero, and the cumulative ΔCTCVR with its always-valid band."""
        from abtest.plots import report_figure

        return report_figure(self)

    def _repr_html_(self) -> str:
        cells = ("arm", "metric", "control", "treatment", "change", "interval", "p")
        head = "".join(f"<th>{name}</th>" for name in cells)
        body = "".join(
            f"<tr><td>{escape(one.arm)}</td><td>{one.metric.upper()}</td><td>{_rate(one.control)}</td><td>{_rate(one.treatment)}</td>"
            f"<td>{'–' if one.lift.value is None else percent(one.lift.value)}</td><td>{escape(interval(_lift(one.lift)))}</td>"
            f"<td>{'–' if one.lift.p_value is None else format(one.lift.p_value, '.3g')}</td></tr>"
            for one in self.metrics
        )
        banners = "".join(
            f"<p><strong>{escape(banner.sentence)}</strong></p>" for banner in self.banners if banner.level != "note"
        )
        return (
            f"{banners}<p>{escape(self.headline)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


class BreakdownRow(BaseModel):
    """One value of a property, one treatment against control."""

    value: str
    arm: str
    control: Rate
    treatment: Rate
    lift: LiftAnswer
    adjusted_p: float | None = Field(
        description="Benjamini–Hochberg's over all rows: under 0.05, at most 5 % of the marks are false."
    )
    marked: bool


class Breakdown(BaseModel):
    """CTCVR by one property of the texts."""

    experiment: str
    phase: int
    dimension: Literal["locale", "industry", "platform", "source"]
    view: Literal["valid", "all"]
    as_of: datetime
    warning: str = Field(description="How many comparisons stand here, and what that means.")
    rows: list[BreakdownRow]


def report(
    url: str,
    experiment: str,
    *,
    key: str,
    as_of: datetime | None = None,
    phase: int | None = None,
    view: Literal["valid", "all"] = "valid",
    tz: str = "UTC",
    timeout: float = 60.0,
) -> Report:
    """Fetch an experiment's report.

    key: one with scope `report`. as_of: with an offset; absent: now. Raises ValueError with the service's own sentence
    when it refuses.
    """
    import httpx

    values = {"as_of": as_of.isoformat() if as_of else None, "phase": phase, "view": view, "tz": tz}
    answer = httpx.get(
        f"{url.rstrip('/')}/experiments/{experiment}/report",
        params={name: value for name, value in values.items() if value is not None},
        headers={"Authorization": f"Bearer {key}"},
        timeout=timeout,
    )
    if answer.is_error:
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        raise ValueError(f"{url} answered {answer.status_code}: {problem.get('detail', answer.reason_phrase)}")
    return Report.model_validate_json(answer.content)


def _row(report: Report, one: MetricAnswer) -> dict[str, Any]:
    sides = {
        f"{side}_{name}": value
        for side, rate in (("control", one.control), ("treatment", one.treatment))
        for name, value in rate.model_dump().items()
    }
    lifts = {
        f"{kind}_{name}": getattr(lift, name)
        for kind, lift in (("lift", one.lift), ("always_valid", one.always_valid))
        for name in ("value", "low", "high", "p_value", "z", "method", "note")
    }
    identity = {
        "experiment": report.experiment,
        "phase": report.phase,
        "view": report.view,
        "as_of": report.method.as_of,
    }
    adjusted = {
        "adjusted_p": one.adjusted_p,
        "adjusted_always_valid_p": one.adjusted_always_valid_p,
        "evidence": one.evidence,
    }
    return {
        **identity,
        "control": report.arms[0].arm,
        "arm": one.arm,
        "metric": one.metric,
        **sides,
        **lifts,
        **adjusted,
    }


def _rate(rate: Rate) -> str:
    value = "–" if rate.value is None else f"{rate.value:.3%}"
    return f"{value}<br><small>{rate.numerator:,.0f} / {rate.denominator:,.0f}</small>"


def _lift(answer: LiftAnswer) -> Lift:
    return Lift(**answer.model_dump())
