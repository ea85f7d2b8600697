"""The request and the response of `POST /generate`. Fields may be added and are never removed."""

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
    Platform = Literal[SPECS]  # one per file in adtext/specs, so that OpenAPI and error messages list them
UnitId = Annotated[
    Line,
    Field(
        min_length=1,
        max_length=128,
        description="The user or device that sees the ad: the unit that is randomised. Only its HMAC is stored.",
    ),
]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class Reason(StrEnum):
    """The reason why an answer holds no text of the policy."""

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
    """The state of a stored text."""

    APPROVED = "approved"
    REVIEW = "review"  # waits for a reviewer
    REJECTED = "rejected"
    RETIRED = "retired"  # its brief was deleted by retention; it is approved again when the same text is written again


class HeldFor(StrEnum):
    """Why a text waits for a person."""

    FINDING = "finding"  # a finding of severity review
    REGULATED = "regulated"  # a product class with a law of its own
    JUDGE_UNSURE = "judge_unsure"


class RejectReason(StrEnum):
    """What is wrong with a rejected text. A judge learns from the first three."""

    FALSE = "false"  # says something that the brief does not support
    MANGLED = "mangled"  # misspelt or broken words
    CLUMSY = "clumsy"  # ungrammatical, unclear, or says nothing
    RULE = "rule"  # breaks a law or a policy
    OTHER = "other"


class GenerateRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    brief: AdBrief
    platform: Platform
    unit_id: UnitId
    n: Annotated[
        int,
        Field(
            strict=True,
            ge=1,
            le=8,
            description="The number of texts wanted. Fewer are returned where fewer are allowed.",
        ),
    ] = 1
    deadline_ms: Annotated[
        int,
        Field(
            strict=True,
            ge=10,
            le=60_000,
            description="The time by which the answer must be sent, counted from the arrival of the request.",
        ),
    ] = 200
    experiment: Slug | None = Field(
        default=None, description="Default: the running experiment of the layer that enrols the unit."
    )
    layer: Slug = "default"
    seen: tuple[UUID, ...] = Field(
        default=(), max_length=64, description="Texts that the unit has seen recently. Other texts are returned first."
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
    experiment: str | None = Field(
        description="The experiment that this answer counts in; null where it counts in none."
    )
    arm: str | None = Field(description="The arm that the unit is assigned to, whatever was served.")
    texts: list[ServedText]
    reason: Reason | None = Field(description="The reason why the policy's own text is not served; null when it is.")
    fallback_missing: bool = Field(
        default=False, description="True where no fallback text could be served either: `texts` is empty."
    )
    note: str | None = Field(default=None, description="A note on the experiment that the caller named.")
