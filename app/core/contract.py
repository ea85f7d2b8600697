"""`POST /generate`: what an ad system sends and what it gets back. Fields are only ever added."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from adtext.brief import AdBrief, Line
from adtext.spec import SPECS

if TYPE_CHECKING:
    Platform = str
else:
    Platform = Literal[SPECS]  # one per file in adtext/specs, so that OpenAPI and a refusal name them
UnitId = Annotated[
    Line,
    Field(min_length=1, max_length=128, description="Who sees the ad: the randomised unit. Stored only as an HMAC."),
]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class Reason(StrEnum):
    """Why an answer holds no text of the policy."""

    DEADLINE = "deadline"
    MODEL_TOO_SLOW = "model_too_slow"
    POLICY_UNAVAILABLE = "policy_unavailable"
    OVERLOADED = "overloaded"
    POLICY_DOES_NOT_WRITE_LOCALE = "policy_does_not_write_locale"
    NO_COMPLIANT_TEXT = "no_compliant_text"
    REVIEW_REQUIRED = "review_required"
    WITHDRAWN = "withdrawn"
    RULES_UNCONFIRMED = "rules_unconfirmed"
    STORE_UNAVAILABLE = "store_unavailable"


class TextState(StrEnum):
    """Where a kept text stands."""

    APPROVED = "approved"
    REVIEW = "review"  # waits for a person
    REJECTED = "rejected"
    RETIRED = "retired"  # its brief is past retention; it is approved again when the same text is written again


class GenerateRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    brief: AdBrief
    platform: Platform
    unit_id: UnitId
    n: Annotated[
        int, Field(strict=True, ge=1, le=8, description="Texts wanted; fewer come where fewer are allowed.")
    ] = 1
    deadline_ms: Annotated[
        int,
        Field(
            strict=True, ge=10, le=60_000, description="When the answer must leave, counted from the request's arrival."
        ),
    ] = 200
    experiment: Slug | None = Field(
        default=None, description="Absent: the running experiment of the layer that covers the unit."
    )
    layer: Slug = "default"
    seen: tuple[UUID, ...] = Field(
        default=(), max_length=64, description="Texts this unit has seen lately: others come first."
    )


class ServedText(BaseModel):
    """One text to show. Send its token back with every event: it is the only link to what was served."""

    text_id: UUID
    title: str
    description: str
    description_2: str | None
    token: str
    source: Literal["pool", "fresh", "advertiser", "template"]
    policy: str = Field(description="The policy version that wrote it, or 'advertiser'.")
    machine_generated: bool


class GenerateResponse(BaseModel):
    request_id: str
    experiment: str | None = Field(description="The experiment this answer counts in; null: none.")
    arm: str | None = Field(description="The arm the unit is assigned to, whatever was served.")
    texts: list[ServedText]
    reason: Reason | None = Field(description="Why the policy's own text is not served; null when it is.")
    fallback_missing: bool = Field(
        default=False, description="True where no approved or template text could be served instead: `texts` is empty."
    )
    note: str | None = Field(default=None, description="What the caller should know about the experiment it named.")
