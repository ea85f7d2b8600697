"""Events in: each row is judged by itself, what is valid is committed, and every row gets its answer after the
commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Literal
from uuid import UUID

from abtest.attribution import LATENESS
from abtest.events import Event, EventKind
from app.core.metrics import EVENTS
from app.core.settings import Settings
from app.core.tokens import Sealer, Served, TokenError, expire
from app.runtime.state import ReplicaState
from app.store.database import AsyncConnection, Database
from app.store.events import NewEvent, store_events
from app.store.group_commit import GroupCommit
from app.store.provenance import texts_of

SKEW = timedelta(minutes=5)  # how far an ad system's clock may be ahead of ours
TO_BE_SHOWN = timedelta(hours=24)  # how long after serving a text may still be shown
# no token this young has expired, whatever its window
_YOUNG_MS = (TO_BE_SHOWN + LATENESS) / timedelta(milliseconds=1)
WAITING = 1024  # batches: a database that hangs must leave three quarters of the requests at once to others
GROUP = 8  # batches that share a transaction: enough to hide the wait for the disk, few enough to stay short

Status = Literal["accepted", "duplicate", "rejected"]


@dataclass(frozen=True, slots=True)
class InvalidEvent:
    """A row that is no event: which field breaks which rule."""

    event_id: str | None
    field: str
    detail: str


@dataclass(slots=True)
class EventAnswer:
    """What became of one row."""

    event_id: str | None
    status: Status
    reason: str | None = None
    field: str | None = None
    detail: str | None = None


class Ingest:
    """One per process: batches that arrive while a transaction is under way share the next one."""

    def __init__(self, settings: Settings, database: Database, state: ReplicaState, sealer: Sealer) -> None:
        self._database, self._state, self._sealer = database, state, sealer
        self._elsewhere = timedelta(hours=settings.window_hours)
        self._commits = GroupCommit(database.events, _write, most=GROUP, waiting=WAITING)

    async def record(self, rows: Sequence[Event | InvalidEvent], *, advertiser: str | None = None) -> list[EventAnswer]:
        """Judge, commit, answer, in the rows' order. Raises Unavailable with the database down: nothing is committed
        then.

        A repeated event_id is a duplicate. The same token and kind under another event_id is accepted: attribution
        takes the earliest. `advertiser`: the only one whose events the caller may report.
        """
        now = datetime.now(UTC)
        judged = [self._judge(row, now) for row in rows]
        if advertiser is not None:
            judged = await self._of_advertiser(judged, advertiser)
        valid: dict[str, NewEvent] = {}
        for event in judged:
            if isinstance(event, NewEvent):
                valid.setdefault(event.event_id, event)
        known = await self._commits.submit(valid) if valid else set()
        answers = [event if isinstance(event, EventAnswer) else _stored(event, known) for event in judged]
        for status, rows_of_it in Counter(answer.status for answer in answers).items():
            EVENTS.labels(status).inc(rows_of_it)
        return answers

    async def _of_advertiser(
        self, judged: Sequence[NewEvent | EventAnswer], advertiser: str
    ) -> list[NewEvent | EventAnswer]:
        """Reject the events whose token stands for a text of another advertiser."""
        served = {UUID(bytes=event.served.text_id) for event in judged if isinstance(event, NewEvent)}
        async with self._database.begin() as connection:
            covered = await texts_of(connection, advertiser, served)
        detail = f"the token is not of advertiser {advertiser!r}, to which your key is limited"
        return [
            EventAnswer(event.event_id, "rejected", "other_advertiser", "token", detail)
            if isinstance(event, NewEvent) and UUID(bytes=event.served.text_id) not in covered
            else event
            for event in judged
        ]

    async def pixel(self, kind: EventKind, token: str, invalid_reason: str | None) -> None:
        """Record what a pixel saw, now. Raises TokenError for a token that is refused.

        Its event id is the kind and the token, so that a repeat is harmless. A flagged one has an id of its own: a
        prefetch must not stand in the way of the person who comes after it.
        """
        now = datetime.now(UTC)
        served = self._open(token, now)
        digest = blake2b(token.encode(), digest_size=16).hexdigest()
        event = NewEvent(
            f"pixel:{kind}:{digest}{':flagged' if invalid_reason else ''}",
            kind,
            served,
            now,
            invalid_reason=invalid_reason,
        )
        known = await self._commits.submit({event.event_id: event})
        EVENTS.labels("duplicate" if known else "accepted").inc()

    def _judge(self, row: Event | InvalidEvent, now: datetime) -> NewEvent | EventAnswer:
        if isinstance(row, InvalidEvent):
            return EventAnswer(row.event_id, "rejected", "invalid_event", row.field, row.detail)
        if row.occurred_at > now + SKEW:
            return EventAnswer(
                row.event_id,
                "rejected",
                "future_event",
                "occurred_at",
                f"{row.occurred_at.isoformat()} is over {SKEW.seconds // 60} minutes ahead of "
                f"{now:%Y-%m-%dT%H:%M:%SZ}: check the clock",
            )
        try:
            served = self._open(row.token, now)
        except TokenError as error:
            return EventAnswer(row.event_id, "rejected", error.reason, "token", str(error))
        return NewEvent(row.event_id, row.kind, served, row.occurred_at, row.value, row.order_id, row.invalid_reason)

    def _open(self, token: str, now: datetime) -> Served:
        """The serving a token stands for, while any of its events may still count: served + time to be shown + window
        + lateness.
        """
        served = self._sealer.open(token)
        if now.timestamp() * 1000 - served.served_ms > _YOUNG_MS:
            expire(
                served, now, self._state.registry.windows.get(served.phase_id, self._elsewhere), TO_BE_SHOWN + LATENESS
            )
        return served


async def _write(connection: AsyncConnection, batches: list[dict[str, NewEvent]]) -> list[set[str]]:
    """Store several batches in one transaction; for each, the ids that were known before it."""
    merged: dict[str, NewEvent] = {}
    repeats = []
    for batch in batches:
        repeats.append(merged.keys() & batch.keys())
        merged = batch | merged
    known = await store_events(connection, merged)
    return [known & batch.keys() | repeated for batch, repeated in zip(batches, repeats, strict=True)]


def _stored(event: NewEvent, known: set[str]) -> EventAnswer:
    if event.event_id in known:
        return EventAnswer(event.event_id, "duplicate")
    known.add(event.event_id)  # a second row of the batch with this id is a repeat
    return EventAnswer(event.event_id, "accepted")
