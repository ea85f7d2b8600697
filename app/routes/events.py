"""`POST /events`: what ad systems report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from abtest.events import Event
from app.container import ContainerDep
from app.core.problems import documented
from app.http.auth import require
from app.services.events.ingest import EventAnswer, InvalidEvent
from app.store.registry import Key

router = APIRouter(tags=["events"])


def _keep_invalid(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """One bad row never sinks the batch: it goes on as an InvalidEvent, and is answered for."""
    try:
        return validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        event_id = value.get("event_id") if isinstance(value, dict) else None
        field = ".".join(map(str, first["loc"])) or "event"
        detail = str(first["msg"]).removeprefix("Value error, ")
        return InvalidEvent(event_id if isinstance(event_id, str) else None, field, detail)


class EventBatch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    events: Annotated[list[Annotated[Event, WrapValidator(_keep_invalid)]], Field(min_length=1, max_length=1000)]


class EventAnswers(BaseModel):
    """One answer a row, in the rows' order."""

    answers: list[EventAnswer]


@router.post("/events", responses=documented())
async def report_events(
    batch: EventBatch, container: ContainerDep, key: Annotated[Key, Depends(require("events"))]
) -> EventAnswers:
    """Report impressions, clicks and conversions, in any order, 1 to 1,000 at once.

    Answers after the commit: each row is `accepted`, a `duplicate` (its event_id is known: harmless), or `rejected`
    with the reason (`invalid_event`, `future_event`, `forged_token`, `expired_token`, `unknown_token_key`, `other_advertiser`). 503:
    nothing was committed, send it again.
    """
    rows: Sequence[Event | InvalidEvent] = batch.events
    return EventAnswers(answers=await container.ingest.record(rows, advertiser=key.advertiser))
