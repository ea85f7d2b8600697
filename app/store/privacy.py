"""Deletion: all rows of one unit, and rows past their retention, in batches."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from app.store.database import AsyncConnection
from app.store.fold import hold_off
from app.store.registry import CHANNEL
from app.store.statements import statement

# Every event is either folded into an exposure, which names its unit, or waits in stale_tokens: no index on
# events.unit is needed.
_ERASE = {
    "events": """
        DELETE FROM events WHERE unit = :unit AND serve_id IN (
            SELECT serve_id FROM exposures WHERE unit = :unit UNION SELECT serve_id FROM stale_tokens)""",
    "stale_tokens": "DELETE FROM stale_tokens WHERE NOT EXISTS (SELECT FROM events WHERE events.serve_id = "
    "stale_tokens.serve_id)",
    "exposures": "DELETE FROM exposures WHERE unit = :unit",
    "unit_days": "DELETE FROM unit_days WHERE phase_id IN (SELECT id FROM phases) AND unit = :unit",
    "assigned_units": "DELETE FROM assigned_units WHERE phase_id IN (SELECT id FROM phases) AND unit = :unit",
    "servings": "DELETE FROM servings WHERE unit = :unit",
}

_OLD_SERVINGS = text("""
    WITH gone AS (
        DELETE FROM servings WHERE id IN (SELECT id FROM servings WHERE at < :before LIMIT :limit) RETURNING 1
    )
    SELECT count(*) AS servings FROM gone""")
_OLD_BRIEFS = text(statement("delete_old_briefs"))
_OLD_PREFILL_ITEMS = text("""
    WITH gone AS (
        DELETE FROM prefill_items WHERE id IN (
            SELECT prefill_items.id FROM prefill_items JOIN prefills ON prefills.id = prefill_id
            WHERE prefills.created_at < :before LIMIT :limit
        ) RETURNING 1
    )
    SELECT count(*) AS prefill_items FROM gone""")
_OLD_EXPOSURES = text(statement("delete_old_exposures"))
_OLD_ASSIGNED_UNITS = text("""
    WITH gone AS (
        DELETE FROM assigned_units WHERE (phase_id, unit) IN (
            SELECT phase_id, unit FROM assigned_units WHERE first_at < :before LIMIT :limit
        ) RETURNING 1
    )
    SELECT count(*) AS assigned_units FROM gone""")


async def erase_unit(connection: AsyncConnection, unit: bytes) -> dict[str, int]:
    """Delete all rows of one unit's digest; returns the number of deleted rows by table."""
    await hold_off(connection)
    return {
        table: (await connection.execute(text(deletion), {"unit": unit})).rowcount for table, deletion in _ERASE.items()
    }


async def old_servings(connection: AsyncConnection, before: datetime, limit: int) -> dict[str, int]:
    return dict((await connection.execute(_OLD_SERVINGS, {"before": before, "limit": limit})).mappings().one())


async def old_briefs(connection: AsyncConnection, before: datetime, limit: int) -> dict[str, int]:
    """Delete briefs that are no longer used. A pooled text without its brief cannot be checked again, so it is
    retired, and every replica's pool is notified.
    """
    return dict(
        (await connection.execute(_OLD_BRIEFS, {"before": before, "limit": limit, "channel": CHANNEL})).mappings().one()
    )


async def old_prefill_items(connection: AsyncConnection, before: datetime, limit: int) -> dict[str, int]:
    return dict((await connection.execute(_OLD_PREFILL_ITEMS, {"before": before, "limit": limit})).mappings().one())


async def old_exposures(connection: AsyncConnection, before: datetime, limit: int) -> dict[str, int]:
    """Delete tokens whose every event is old, with those events. The next fold computes the totals of their units
    again.
    """
    await hold_off(connection)
    return dict((await connection.execute(_OLD_EXPOSURES, {"before": before, "limit": limit})).mappings().one())


async def old_assigned_units(connection: AsyncConnection, before: datetime, limit: int) -> dict[str, int]:
    return dict((await connection.execute(_OLD_ASSIGNED_UNITS, {"before": before, "limit": limit})).mappings().one())
