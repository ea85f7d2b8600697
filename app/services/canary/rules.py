"""The rules of a canary: its ramp, its guardrails, and what a win does. They are fixed when it starts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.core.defaults import PLANNED_UNITS, WINDOW_HOURS

State = Literal["warming", "ramping", "paused", "won", "promoted", "rolled_back", "stopped"]
OPEN: tuple[State, ...] = ("warming", "ramping", "paused", "won")

_Share = Annotated[float, Field(ge=0.01, le=100)]
_Margin = Annotated[float, Field(ge=0, le=1)]


class CanaryRules(BaseModel):
    """The ramp, the guardrails and what a win does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: list[_Share] = Field(
        default=[1, 5, 20, 50],
        min_length=1,
        max_length=10,
        description="Percent of the layer's units that the experiment covers; half of them get the challenger.",
    )
    hours_per_share: float = Field(default=24, ge=0, le=60 * 24, description="At least this long on each share.")
    window_hours: int = Field(default=WINDOW_HOURS, ge=1, le=90 * 24, description="Attribution window.")
    planned_units: int = Field(default=PLANNED_UNITS, ge=100, le=10**12)
    decision: Literal["clear_win", "do_no_harm"] = Field(
        default="clear_win",
        description="When the planned units are mature: only a better CTCVR wins, or also one that is not worse.",
    )
    promote_on_win: bool = Field(default=False, description="false: a win asks a person to promote.")
    on_breach: Literal["pause", "roll_back"] = Field(
        default="pause", description="What a guardrail that does not hold does. Harm on CTCVR always rolls back."
    )
    compliance_margin: _Margin = Field(default=0.05, description="Compliance Rate lost at most.")
    compliance_floor: _Margin = Field(default=0.5, description="Compliance Rate at least, whatever the champion's.")
    judge_margin: _Margin = Field(default=0.1, description="Share of texts that the judge passes lost at most.")
    fallback_margin: _Margin = Field(default=0.05, description="Share of fallbacks, or of no text, gained at most.")
    violation_margin: _Margin = Field(default=0.001, description="Share of violating impressions gained at most.")
    latency_margin: float = Field(default=0.25, ge=0, le=10, description="Relative rise of the 95th percentile.")
    warm_briefs: int = Field(
        default=500, ge=0, le=10_000, description="Briefs of the last days that are written ahead before the ramp."
    )
    warm_hours: float = Field(default=6, ge=0, le=7 * 24, description="The ramp waits for them no longer than this.")

    @field_validator("shares")
    @classmethod
    def _ramp_rises(cls, shares: list[float]) -> list[float]:
        if shares != sorted(set(shares)):
            raise ValueError(f"{shares} must rise: send shares such as [1, 5, 20, 50]")
        return shares

    def coverage(self, share: int) -> int:
        """Buckets of the layer, of 10,000, at a step of the ramp."""
        return round(self.shares[share] * 100)
