"""Ingests events: each row is checked separately, valid rows are committed, and all are answered after the commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from abtest.attribution import LATENESS, resolution
from abtest.events import Event, EventKind
from app.core.metrics import EVENTS, EVENTS_REJECTED
from app.core.settings import Settings
from app.core.tokens import Sealer, Served, TokenError, expire
from app.runtime.state import ReplicaState
from app.store.database import AsyncConnection, Database
from app.store.events import MACHINE, PERSON, Identity, NewEvent, store_events
from app.store.group_commit import GroupCommit
from app.store.provenance import texts_of

SKEW = timedelta(minutes=5)  # how far the clock of an ad system may be ahead of ours, or behind it
TO_BE_SHOWN = timedelta(hours=24)  # how long after its serving a text may be shown
# a token of this age has not expired, whatever its window
_YOUNG_MS = (TO_BE_SHOWN + LATENESS) / timedelta(milliseconds=1)
WAITING = (
    1024  # waiting batches: when the database hangs, three quarters of the concurrent requests stay free for others
)
GROUP = 8  # batches that share a transaction: enough to hide the latency of the disk, and few enough to keep it short

Status = Literal["accepted", "duplicate", "rejected"]
_REASONS = (
    *("invalid_event", "future_event", "before_serving", "forged_token", "expired_token", "unknown_token_key"),
    "other_advertiser",
)
for _reason in _REASONS:
    EVENTS_REJECTED.labels(_reason)  # shown as 0 before the first


@dataclass(frozen=True, slots=True)
class InvalidEvent:
    """An invalid row: the field and the rule that it breaks."""

    event_id: str | None
    field: str
    detail: str


@dataclass(slots=True)
class EventAnswer:
    """The outcome of one row."""

    event_id: str | None
    status: Status
    index: int = 0  # position of the row in its batch, from 0
    reason: str | None = None
    field: str | None = None
    detail: str | None = None


def current_time() -> datetime:
    return datetime.now(UTC)


class Ingest:
    """One per process. Batches that arrive during a transaction share the next one."""

    def __init__(self, settings: Settings, database: Database, state: ReplicaState, sealer: Sealer) -> None:
        self._database, self._state, self._sealer = database, state, sealer
        self._elsewhere = timedelta(hours=settings.window_hours)
        self._commits = GroupCommit(database.events, _write, most=GROUP, waiting=WAITING)

    async def record(self, rows: Sequence[Event | InvalidEvent], *, advertiser: str | None = None) -> list[EventAnswer]:
        """Check and commit the rows; returns the answers in their order. Raises Unavailable when the database is
        unavailable: nothing is committed then.

        A row with the serving, kind and event_id of an earlier one is a duplicate. The same token and kind under
        another event_id is accepted: attribution takes the earliest. `advertiser`: the only one whose events the caller
        may report.
        """
        now = current_time()
        judged = [self._judge(row, now) for row in rows]
        if advertiser is not None:
            judged = await self._of_advertiser(judged, advertiser)
        valid: dict[Identity, NewEvent] = {}
        for event in judged:
            if isinstance(event, NewEvent):
                valid.setdefault(event.identity, event)
        known = await self._commits.submit(valid) if valid else set()
        answers = [event if isinstance(event, EventAnswer) else _stored(event, known) for event in judged]
        for index, answer in enumerate(answers):
            answer.index = index
        _count(answers)
        return answers

    async def _of_advertiser(
        self, judged: Sequence[NewEvent | EventAnswer], advertiser: str
    ) -> list[NewEvent | EventAnswer]:
        """Reject the events whose token belongs to a text of another advertiser."""
        served = {UUID(bytes=event.served.text_id) for event in judged if isinstance(event, NewEvent)}
        async with self._database.begin() as connection:
            covered = await texts_of(connection, advertiser, served)
        detail = f"the token is not of advertiser {advertiser!r}, to which your key is limited"
        return [
            EventAnswer(event.event_id, "rejected", reason="other_advertiser", field="token", detail=detail)
            if isinstance(event, NewEvent) and UUID(bytes=event.served.text_id) not in covered
            else event
            for event in judged
        ]

    async def pixel(self, kind: EventKind, token: str, invalid_reason: str | None) -> None:
        """Record an event of a pixel at the current time. Raises TokenError for an invalid token.

        Its event id says whether a person or a machine loaded it. A repetition is harmless, and a prefetch does not
        replace the event of the person who follows it.
        """
        now = current_time()
        try:
            served = self._open(token, now)
        except TokenError as error:
            _count([EventAnswer(None, "rejected", reason=error.reason)])
            raise
        event = NewEvent(MACHINE if invalid_reason else PERSON, kind, served, now, invalid_reason=invalid_reason)
        known = await self._commits.submit({event.identity: event})
        _count([EventAnswer(event.event_id, "duplicate" if known else "accepted")])

    def _judge(self, row: Event | InvalidEvent, now: datetime) -> NewEvent | EventAnswer:
        if isinstance(row, InvalidEvent):
            return EventAnswer(row.event_id, "rejected", reason="invalid_event", field=row.field, detail=row.detail)
        if row.occurred_at > now + SKEW:
            return _out_of_time(row, "future_event", f"ahead of {now:%Y-%m-%dT%H:%M:%SZ}")
        try:
            served = self._open(row.token, now)
        except TokenError as error:
            return EventAnswer(row.event_id, "rejected", reason=error.reason, field="token", detail=str(error))
        if row.occurred_at < served.served_at - SKEW - resolution(row.occurred_at):
            return _out_of_time(row, "before_serving", f"before its serving at {served.served_at:%Y-%m-%dT%H:%M:%SZ}")
        return NewEvent(
            row.event_id,
            row.kind,
            served,
            row.occurred_at,
            row.value,
            row.currency,
            row.order_id,
            row.corrects,
            row.invalid_reason,
        )

    def _open(self, token: str, now: datetime) -> Served:
        """The serving of a token, as long as one of its events may still count: served + time to be shown + window +
        lateness.
        """
        served = self._sealer.open(token)
        if now.timestamp() * 1000 - served.served_ms > _YOUNG_MS:
            expire(
                served, now, self._state.registry.windows.get(served.phase_id, self._elsewhere), TO_BE_SHOWN + LATENESS
            )
        return served


async def _write(connection: AsyncConnection, batches: list[dict[Identity, NewEvent]]) -> list[set[Identity]]:
    """Store several batches in one transaction. Returns, for each, the events that existed before it."""
    merged: dict[Identity, NewEvent] = {}
    repeats = []
    for batch in batches:
        repeats.append(merged.keys() & batch.keys())
        merged = batch | merged
    known = await store_events(connection, merged)
    return [known & batch.keys() | repeated for batch, repeated in zip(batches, repeats, strict=True)]


def _count(answers: Sequence[EventAnswer]) -> None:
    for (status, reason), rows in Counter((answer.status, answer.reason) for answer in answers).items():
        EVENTS.labels(status).inc(rows)
        if reason is not None:
            EVENTS_REJECTED.labels(reason).inc(rows)


def _stored(event: NewEvent, known: set[Identity]) -> EventAnswer:
    if event.identity in known:
        return EventAnswer(event.event_id, "duplicate")
    known.add(event.identity)  # a second row of the batch with this identity is a duplicate
    return EventAnswer(event.event_id, "accepted")


def _out_of_time(row: Event, reason: str, when: str) -> EventAnswer:
    detail = (
        f"{row.occurred_at.isoformat()} is more than {SKEW.seconds // 60} minutes {when}: check the clock, and its "
        "time zone if the difference is a whole number of hours"
    )
    return EventAnswer(row.event_id, "rejected", reason=reason, field="occurred_at", detail=detail)
