"""What deletes: one unit's rows everywhere, and rows past their retention, in batches."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from app.store.database import AsyncConnection
from app.store.fold import hold_off
from app.store.registry import CHANNEL

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
_OLD_BRIEFS = text("""
    WITH gone AS (
        DELETE FROM briefs WHERE digest IN (SELECT digest FROM briefs WHERE used_at < :before LIMIT :limit)
            AND used_at < :before -- asked again: it may have been used while this statement waited for the row
        RETURNING digest
    ), retired AS (
        UPDATE texts SET state = 'retired' FROM gone WHERE brief_digest = gone.digest AND state IN ('approved', 'review')
        RETURNING pool_key
    ), told AS (
        SELECT pg_notify(:channel, 'pool:' || encode(pool_key, 'hex')) FROM (SELECT DISTINCT pool_key FROM retired) keys
    )
    SELECT (SELECT count(*) FROM gone) AS briefs, (SELECT count(*) FROM retired) AS texts_retired
    FROM (SELECT count(*) FROM told) each_is_sent""")
_OLD_PREFILL_ITEMS = text("""
    WITH gone AS (
        DELETE FROM prefill_items WHERE id IN (
            SELECT prefill_items.id FROM prefill_items JOIN prefills ON prefills.id = prefill_id
            WHERE prefills.created_at < :before LIMIT :limit
        ) RETURNING 1
    )
    SELECT count(*) AS prefill_items FROM gone""")
_OLD_EXPOSURES = text("""
    WITH gone AS (
        DELETE FROM exposures WHERE serve_id IN (
            SELECT serve_id FROM exposures
            WHERE greatest(served_at, impression_at, click_at, conversion_at) < :before LIMIT :limit
        ) RETURNING serve_id, phase_id, unit
    ), events_gone AS (
        DELETE FROM events USING gone WHERE events.serve_id = gone.serve_id RETURNING 1
    ), units AS (
        SELECT DISTINCT phase_id, unit FROM gone WHERE phase_id IS NOT NULL
    ), totals_gone AS (
        DELETE FROM unit_days USING units WHERE unit_days.phase_id = units.phase_id AND unit_days.unit = units.unit
    ), folded_again AS (
        INSERT INTO stale_tokens
        SELECT serve_id FROM exposures JOIN units USING (phase_id, unit) WHERE serve_id NOT IN (SELECT serve_id FROM gone)
    )
    SELECT (SELECT count(*) FROM gone) AS exposures, (SELECT count(*) FROM events_gone) AS events""")
_OLD_ASSIGNED_UNITS = text("""
    WITH gone AS (
        DELETE FROM assigned_units WHERE (phase_id, unit) IN (
            SELECT phase_id, unit FROM assigned_units WHERE first_at < :before LIMIT :limit
        ) RETURNING 1
    )
    SELECT count(*) AS assigned_units FROM gone""")


async def erase_unit(connection: AsyncConnection, unit: bytes) -> dict[str, int]:
    """Delete every row of one unit's digest; returns how many went, by table."""
    await hold_off(connection)
    return {
        table: (await connection.execute(text(statement), {"unit": unit})).rowcount
        for table, statement in _ERASE.items()
    }


async def old_servings(connection: AsyncConnection, before: datetime, limit: int) -> dict[str, int]:
    return dict((await connection.execute(_OLD_SERVINGS, {"before": before, "limit": limit})).mappings().one())


async def old_briefs(connection: AsyncConnection, before: datetime, limit: int) -> dict[str, int]:
    """Delete briefs that are used no more. A pooled text whose brief is gone cannot be checked again, so it is retired, and every replica's
    pool told.
    """
    return dict(
        (await connection.execute(_OLD_BRIEFS, {"before": before, "limit": limit, "channel": CHANNEL})).mappings().one()
    )


async def old_prefill_items(connection: AsyncConnection, before: datetime, limit: int) -> dict[str, int]:
    return dict((await connection.execute(_OLD_PREFILL_ITEMS, {"before": before, "limit": limit})).mappings().one())


async def old_exposures(connection: AsyncConnection, before: datetime, limit: int) -> dict[str, int]:
    """Delete tokens whose every event is old, with those events. The next fold recomputes the totals of the units they
    belonged to.
    """
    await hold_off(connection)
    return dict((await connection.execute(_OLD_EXPOSURES, {"before": before, "limit": limit})).mappings().one())


async def old_assigned_units(connection: AsyncConnection, before: datetime, limit: int) -> dict[str, int]:
    return dict((await connection.execute(_OLD_ASSIGNED_UNITS, {"before": before, "limit": limit})).mappings().one())
