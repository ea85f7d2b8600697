"""What an ad system reports: an impression, a click, a conversion. One definition for the request body, the table and
the export file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from adtext.brief import Line

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
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


class EventKind(StrEnum):
    IMPRESSION = "impression"
    CLICK = "click"
    CONVERSION = "conversion"


class Source(IntEnum):
    """Where a served text came from; the number is what tokens and tables carry."""

    NONE = 0  # an answer without a text
    POOL = 1
    FRESH = 2
    ADVERTISER = 3  # the advertiser's approved text: fallback
    TEMPLATE = 4  # the template baseline: fallback


class Event(BaseModel):
    """One event as reported. `event_id` makes repeats harmless; the token stands for serving, unit, experiment, arm,
    text and policy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: Annotated[
        str, Field(pattern=r"^[\w.:-]+$", max_length=64, description="The sender's own id: a repeat is harmless.")
    ]
    kind: EventKind
    token: Annotated[str, Field(pattern=r"^[!-~]{1,400}$", description="The token that came with the served text.")]
    occurred_at: Annotated[Instant, Field(description="When it happened, RFC 3339 with offset; stored in UTC.")]
    value: Amount | None = None
    order_id: Note | None = None
    invalid_reason: (
        Annotated[Note, Field(description="Why the ad system holds it invalid: shown beside, never counted.")] | None
    ) = None


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """An accepted event, as far as attribution goes."""

    token: str  # the serving it belongs to: the token itself, or the serve id inside it
    kind: EventKind
    occurred_at: datetime
    invalid: bool = False

    def __post_init__(self) -> None:
        if self.occurred_at.tzinfo is None:
            raise ValueError(
                f"occurred_at {self.occurred_at} of token {self.token!r} has no offset: attach UTC before attribution"
            )
