"""`POST /events`: the events that ad systems report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from abtest.events import Event
from app.container import ContainerDep
from app.core.problems import documented
from app.http.auth import require
from app.http.compressed import CompressedRoute
from app.services.events.ingest import EventAnswer, InvalidEvent
from app.store.registry import Key

router = APIRouter(tags=["events"], route_class=CompressedRoute)
_SHOWN = 64  # characters of an event_id or a field name that are sent back


def _keep_invalid(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """An invalid row does not fail the batch: it becomes an InvalidEvent with an answer of its own."""
    try:
        return validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        event_id = value.get("event_id") if isinstance(value, dict) else None
        field = ".".join(map(str, first["loc"])) or "event"
        detail = str(first["msg"]).removeprefix("Value error, ")
        return InvalidEvent(_shown(event_id) if isinstance(event_id, str) else None, _shown(field), detail)


def _shown(text: str) -> str:
    """The value that was sent, shortened. A lone surrogate, which UTF-8 cannot encode, becomes a question mark."""
    return text[:_SHOWN].encode("utf-8", "replace").decode()


class EventBatch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    events: Annotated[list[Annotated[Event, WrapValidator(_keep_invalid)]], Field(min_length=1, max_length=1000)]


class EventAnswers(BaseModel):
    """One answer per row, in the order of the rows."""

    answers: list[EventAnswer]


@router.post("/events", responses=documented(415))
async def report_events(
    batch: EventBatch, container: ContainerDep, key: Annotated[Key, Depends(require("events"))]
) -> EventAnswers:
    """Report impressions, clicks, conversions and retractions, in any order, 1 to 1,000 per request. The body may be
    compressed with gzip.

    The answer is sent after the commit. Each row is `accepted`, a `duplicate` (its token, kind and event_id are known;
    this is harmless), or `rejected` with its index and the reason: `invalid_event`, `future_event`, `before_serving`,
    `forged_token`, `expired_token`, `unknown_token_key`, `other_advertiser`. On 503 nothing was committed: send the
    request again.
    """
    rows: Sequence[Event | InvalidEvent] = batch.events
    return EventAnswers(answers=await container.ingest.record(rows, advertiser=key.advertiser))
