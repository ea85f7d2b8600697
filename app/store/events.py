"""The events table: events as received. They are written once, never changed, and read by the fold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from abtest.events import EventKind
from app.core.tokens import Served
from app.store.database import AsyncConnection, driver
from app.store.statements import statement

# 0 impression, 1 click, 2 conversion, 3 retraction
KINDS: Mapping[EventKind, int] = {kind: number for number, kind in enumerate(EventKind)}

# Event ids of pixels. No sender can use them, because an event_id must not contain a slash.
PERSON, MACHINE = "pixel/person", "pixel/machine"

Identity = tuple[str, bytes, int]  # event id, serving, number of the kind


# not a dataclass: thousands are created per second, and a tuple takes a third of the time
class NewEvent(NamedTuple):
    """A valid event with the serving of its token."""

    event_id: str
    kind: EventKind
    served: Served
    occurred_at: datetime
    value: float | None = None
    currency: str | None = None
    order_id: str | None = None
    corrects: str | None = None
    invalid_reason: str | None = None

    @property
    def identity(self) -> Identity:
        return self.event_id, self.served.serve_id, KINDS[self.kind]


_STAGE = b"CREATE TEMPORARY TABLE IF NOT EXISTS staged_events (LIKE events INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
_COPY = (
    b"COPY staged_events (event_id, kind, serve_id, unit, phase_id, arm, text_id, policy_id, source, served_at, "
    b"occurred_at, value, currency, order_id, corrects, invalid_reason, reused) FROM STDIN"
)
_STORE = statement("store_events").encode()


async def store_events(connection: AsyncConnection, events: Mapping[Identity, NewEvent]) -> set[Identity]:
    """Write events by their identity and queue their tokens for the fold; returns those that existed already, usually
    none.

    COPY in text format with one string per batch costs a third of writing single values with psycopg. All writers use
    one order, so that two transactions with the same events wait for each other and never deadlock.
    """
    lines, before = [], ""
    for identity in sorted(events):
        lines.append(_line(events[identity], reused=identity[0] == before))
        before = identity[0]
    async with (await driver(connection)).cursor() as cursor:
        await cursor.execute(_STAGE)
        async with cursor.copy(_COPY) as out:
            await out.write("".join(lines))
        # planned again each time: a plan for an almost empty table would scan a full table for every row
        await cursor.execute(_STORE, prepare=False)
        return {(event_id, serve_id.bytes, kind) for event_id, serve_id, kind in await cursor.fetchall()}


_NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _line(event: NewEvent, *, reused: bool) -> str:
    served = event.served
    trial = f"{served.phase_id}\t{served.arm}" if served.phase_id else f"{_NULL}\t{_NULL}"
    value = _NULL if event.value is None else repr(event.value)
    return (
        f"{event.event_id}\t{KINDS[event.kind]}\t{served.serve_id.hex()}\t\\\\x{served.unit.hex()}\t{trial}\t"
        f"{served.text_id.hex()}\t{served.policy_id}\t{served.source}\t{served.served_at.isoformat()}\t"
        f"{event.occurred_at.isoformat()}\t{value}\t{event.currency or _NULL}\t{_note(event.order_id)}\t"
        f"{event.corrects or _NULL}\t{_note(event.invalid_reason)}\t{'t' if reused else 'f'}\n"
    )


def _note(note: str | None) -> str:
    return _NULL if note is None else note.translate(_ESCAPES)
