"""The events table: what was reported, as it came. Written once, never changed; who reads it is the fold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from abtest.events import EventKind
from app.core.tokens import Served
from app.store.database import AsyncConnection, driver

# 0 impression, 1 click, 2 conversion
KINDS: Mapping[EventKind, int] = {kind: number for number, kind in enumerate(EventKind)}


# not a frozen dataclass: there are thousands a second, and a tuple is made in a third of the time
class NewEvent(NamedTuple):
    """A valid event with the serving its token stands for."""

    event_id: str
    kind: EventKind
    served: Served
    occurred_at: datetime
    value: float | None = None
    order_id: str | None = None
    invalid_reason: str | None = None


_COLUMNS = "event_id, kind, serve_id, unit, phase_id, arm, text_id, policy_id, source, served_at, occurred_at, value, order_id, invalid_reason"
_STAGE = text(
    "CREATE TEMPORARY TABLE IF NOT EXISTS staged_events (LIKE events INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
)
_COPY = f"COPY staged_events ({_COLUMNS}) FROM STDIN".encode()
_STORE = text(f"""
    WITH new AS (
        INSERT INTO events ({_COLUMNS}) SELECT {_COLUMNS} FROM staged_events
        ON CONFLICT (event_id) DO NOTHING RETURNING event_id, serve_id
    ), queued AS (
        INSERT INTO stale_tokens (serve_id) SELECT serve_id FROM new
    )
    SELECT event_id FROM staged_events EXCEPT SELECT event_id FROM new""")


async def store_events(connection: AsyncConnection, events: Mapping[str, NewEvent]) -> set[str]:
    """Write events by their id and queue their tokens for the fold; returns the ids that were there already, usually
    none.

    COPY in text form, one string a batch: a third of the cost of handing psycopg one value at a time. Ids in one order
    everywhere, so that two transactions with the same events wait for each other and never deadlock.
    """
    await connection.execute(_STAGE)
    async with (await driver(connection)).cursor() as cursor, cursor.copy(_COPY) as out:
        await out.write("".join([_line(events[event_id]) for event_id in sorted(events)]))
    return set(await connection.scalars(_STORE))


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _line(event: NewEvent) -> str:
    served = event.served
    trial = f"{served.phase_id}\t{served.arm}" if served.phase_id else "\\N\t\\N"
    value = "\\N" if event.value is None else repr(event.value)
    return (
        f"{event.event_id}\t{KINDS[event.kind]}\t{served.serve_id.hex()}\t\\\\x{served.unit.hex()}\t{trial}\t{served.text_id.hex()}\t"
        f"{served.policy_id}\t{served.source}\t{served.served_at.isoformat()}\t{event.occurred_at.isoformat()}\t"
        f"{value}\t{_note(event.order_id)}\t{_note(event.invalid_reason)}\n"
    )


def _note(note: str | None) -> str:
    return "\\N" if note is None else note.translate(_ESCAPES)
