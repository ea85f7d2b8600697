"""The tables of the serving log: servings, and the units assigned to each arm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from app.store.database import AsyncConnection, driver


class ServingRow(NamedTuple):
    """One served text, or an answer without one (text_id None). In the order of the table's columns."""

    serve_id: bytes
    at_ms: int
    request_id: str
    unit: bytes
    phase_id: int  # 0: outside any experiment
    arm: int
    text_id: bytes | None
    policy_id: int
    source: int
    position: int
    query: str
    locale: str
    platform: str
    latency_ms: float


_COLUMNS = (
    "id",
    "at",
    "request_id",
    "unit",
    "phase_id",
    "arm",
    "text_id",
    "policy_id",
    "source",
    "position",
    "query",
    "locale",
    "platform",
    "latency_ms",
)
_COPY = f"COPY servings ({', '.join(_COLUMNS)}) FROM STDIN".encode()
_USED = """
    WITH used AS (
        SELECT digest FROM briefs
        WHERE digest IN (SELECT brief_digest FROM texts WHERE id = ANY(%s)) AND used_at < now() - interval '1 day'
        ORDER BY digest FOR NO KEY UPDATE
    )
    UPDATE briefs SET used_at = now() FROM used WHERE briefs.digest = used.digest"""
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"


async def write_servings(connection: AsyncConnection, rows: Sequence[ServingRow]) -> None:
    """Write with COPY in text format, one string per batch: it costs a third of writing single values."""
    async with (await driver(connection)).cursor() as cursor, cursor.copy(_COPY) as out:
        await out.write("".join(map(_line, rows)))


def _line(row: ServingRow) -> str:
    trial = (str(row.phase_id), str(row.arm)) if row.phase_id else (_NULL, _NULL)
    values = (
        row.serve_id.hex(),
        datetime.fromtimestamp(row.at_ms / 1000, UTC).isoformat(),
        row.request_id.translate(_ESCAPES),
        f"\\\\x{row.unit.hex()}",
        *trial,
        row.text_id.hex() if row.text_id is not None else _NULL,
        str(row.policy_id or _NULL),
        str(int(row.source)),
        str(row.position),
        row.query.translate(_ESCAPES),
        row.locale,
        row.platform,
        f"{row.latency_ms:.3f}",
    )
    return "\t".join(values) + "\n"


async def note_use(connection: AsyncConnection, text_ids: Sequence[bytes]) -> None:
    """Record that the briefs of these texts are in use: their retention counts from now.

    All writers use one order of rows, so that two statements with the same rows cannot deadlock.
    """
    async with (await driver(connection)).cursor() as cursor:
        await cursor.execute(_USED, ([UUID(bytes=text_id) for text_id in text_ids],))


async def write_assigned(connection: AsyncConnection, units: Sequence[tuple[Any, ...]]) -> None:
    """Write (phase, unit, arm, first seen). A unit that exists already is not changed."""
    if not units:
        return
    phases, digests, arms, firsts = zip(*sorted(units), strict=True)
    async with (await driver(connection)).cursor() as cursor:
        await cursor.execute(
            "INSERT INTO assigned_units (phase_id, unit, arm, first_at) "
            "SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::smallint[], %s::timestamptz[]) ON CONFLICT DO NOTHING",
            (list(phases), list(digests), list(arms), list(firsts)),
        )
