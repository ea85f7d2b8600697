"""What an ad system reports: an impression, a click, a conversion, or the correction of one. One definition for the
request body, the table and the export file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from adtext.brief import Line

# and the offset without its colon, +0900, as many log formats write it
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)")
# inside them every offset converts to UTC
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _rfc3339(value: object) -> object:
    # not left to pydantic, which would also take 1763800000 or a naive time
    if not (value.tzinfo if isinstance(value, datetime) else isinstance(value, str) and _RFC3339.fullmatch(value)):
        raise ValueError("must be an RFC 3339 time with its offset, such as 2026-11-22T10:00:00+09:00")
    return value


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Instant = Annotated[datetime, Field(ge=_EARLIEST, lt=_LATEST), BeforeValidator(_rfc3339), AfterValidator(_to_utc)]
Amount = Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False, description="What it was worth.")]
Note = Annotated[Line, Field(min_length=1, max_length=64)]
EventId = Annotated[str, Field(pattern=r"^[\w.:-]+$", max_length=64)]


class EventKind(StrEnum):
    IMPRESSION = "impression"
    CLICK = "click"
    CONVERSION = "conversion"
    RETRACTION = "retraction"  # retracts the event that `corrects` names


class Source(IntEnum):
    """Where a served text came from; the number is what tokens and tables carry."""

    NONE = 0  # an answer without a text
    POOL = 1
    FRESH = 2
    ADVERTISER = 3  # the advertiser's approved text: fallback
    TEMPLATE = 4  # the template baseline: fallback


class Event(BaseModel):
    """One event as reported. It is identified by its serving, kind and `event_id`, which makes repeats harmless; the
    token stands for serving, unit, experiment, arm, text and policy.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "event_id": "auction-7",
                    "kind": "conversion",
                    "token": "AQ7x…",
                    "occurred_at": "2026-11-22T17:00:00+09:00",
                    "value": 49.9,
                    "currency": "EUR",
                    "order_id": "order-1001",
                },
                {
                    "event_id": "refund-3",
                    "kind": "retraction",
                    "token": "AQ7x…",
                    "occurred_at": "2026-11-23T09:00:00+09:00",
                    "corrects": "auction-7",
                },
            ]
        },
    )

    event_id: Annotated[
        EventId,
        Field(
            description="The sender's own id. A repeat with the same token and kind is harmless; impression, click and "
            "conversion of one serving may share an id."
        ),
    ]
    kind: EventKind
    token: Annotated[str, Field(pattern=r"^[!-~]{1,400}$", description="The token that came with the served text.")]
    occurred_at: Annotated[Instant, Field(description="When it happened, RFC 3339 with offset; stored in UTC.")]
    value: Amount | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="Of the value: ISO 4217.")] | None = None
    order_id: (
        Annotated[Note, Field(description="A conversion counts once per advertiser and order, on whichever token.")]
        | None
    ) = None
    corrects: (
        Annotated[
            EventId,
            Field(
                description="The event_id of an earlier event of this token. A retraction takes it back; an event of "
                "its kind states it anew. The latest occurred_at decides."
            ),
        ]
        | None
    ) = None
    invalid_reason: (
        Annotated[Note, Field(description="Why the ad system holds it invalid: shown beside, never counted.")] | None
    ) = None

    @model_validator(mode="after")
    def _names_another_event(self) -> Self:
        if self.kind is EventKind.RETRACTION and self.corrects is None:
            raise ValueError("a retraction needs `corrects`: the event_id of the event that it takes back")
        if self.corrects == self.event_id:
            raise ValueError(
                f"`corrects` is the event's own id {self.event_id!r}: give the correction an id of its own"
            )
        return self


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """The part of an accepted event that attribution reads."""

    token: str  # the serving it belongs to: the token itself, or the serve id inside it
    kind: EventKind
    occurred_at: datetime
    invalid: bool = False  # flagged as invalid by the ad system
    event_id: str = ""
    corrects: str | None = None  # event_id of the event that this one retracts or restates
    value: float | None = None
    order: tuple[str, str] | None = None  # advertiser and order id
    machine: bool = False  # a pixel that a crawler, a prefetch or a HEAD request loaded
    served_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.occurred_at.tzinfo is None:
            raise ValueError(
                f"occurred_at {self.occurred_at} of token {self.token!r} has no offset: attach UTC before attribution"
            )
