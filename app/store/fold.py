"""Events → exposures → unit_days, in SQL: the same definition as `abtest.attribution`. A property test compares the
two.

A fold takes the tokens whose events changed, recomputes their exposures from the events, and the days of the units they
touch from the exposures. Rows are never incremented, so the order, repetition and lateness of events do not change the
result, and `rebuild` gives the same rows.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from abtest.attribution import FASTEST_CLICK, FURTHEST_ZONE
from app.store.database import AsyncConnection
from app.store.statements import statement

BATCH = 50_000  # rows of the queue folded in one transaction
LOCK = 0x52454C41  # advisory lock: one fold at a time, over all replicas

_PREPARE = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS stale (serve_id uuid) ON COMMIT DELETE ROWS",
    "CREATE TEMPORARY TABLE IF NOT EXISTS touched (phase_id bigint, unit bytea) ON COMMIT DELETE ROWS",
    "CREATE TEMPORARY TABLE IF NOT EXISTS touched_orders (order_advertiser text, order_id text) ON COMMIT DELETE ROWS",
)
_TAKE = text("""
    WITH taken AS (
        DELETE FROM stale_tokens WHERE ctid = ANY (ARRAY(SELECT ctid FROM stale_tokens LIMIT :batch)) RETURNING serve_id
    ), distinct_tokens AS (
        INSERT INTO stale SELECT DISTINCT serve_id FROM taken
    )
    SELECT count(*) FROM taken""")
_TOUCH_ORDERS = text("""
    INSERT INTO touched_orders
    SELECT DISTINCT order_advertiser, order_id FROM exposures JOIN stale USING (serve_id) WHERE order_id IS NOT NULL""")
_TOUCH = text("""
    INSERT INTO touched
    SELECT DISTINCT phase_id, unit FROM exposures JOIN stale USING (serve_id) WHERE phase_id IS NOT NULL""")
# the events of the stale tokens are read first: with a later join the planner may read all events
_FOLD_EXPOSURES = text(
    statement("fold_exposures")
    .replace("/*only stale*/", "JOIN stale USING (serve_id)")
    .replace("/*at once*/", "MATERIALIZED")
)
_FOLD_ORDERS = text(statement("fold_orders"))
_FOLD_UNIT_DAYS = text(
    statement("fold_unit_days").replace(
        "/*days*/", statement("unit_days").replace("/*only touched*/", "JOIN touched USING (phase_id, unit)")
    )
)
_ALL_EXPOSURES = text(statement("fold_exposures").replace("/*at once*/", "NOT MATERIALIZED"))
_ALL_ORDERS = text("""
    INSERT INTO touched_orders SELECT DISTINCT order_advertiser, order_id FROM exposures WHERE order_id IS NOT NULL""")
_ALL_UNIT_DAYS = text("INSERT INTO unit_days " + statement("unit_days"))


async def fold(connection: AsyncConnection, elsewhere: timedelta, *, wait: bool = True) -> int:
    """Fold up to BATCH rows of the queue inside this transaction; returns how many there were.

    elsewhere: the attribution window of tokens outside all experiments. wait=False: returns 0 at once while another
    fold runs.
    """
    if not await _locked(connection, wait=wait):
        return 0
    await connection.execute(text("SET LOCAL work_mem = '64MB'"))  # one fold at a time: sorts need not spill
    for table in _PREPARE:
        await connection.execute(text(table))
    taken: int = (await connection.execute(_TAKE, {"batch": BATCH})).scalar_one()
    if not taken:
        return 0
    await connection.execute(text("ANALYZE stale"))  # otherwise the planner may scan all events for a few tokens
    orders = (await connection.execute(_TOUCH_ORDERS)).rowcount  # those that the tokens had, and those that they have
    await connection.execute(_FOLD_EXPOSURES, _values(elsewhere))
    orders += (await connection.execute(_TOUCH_ORDERS)).rowcount
    if orders:
        await connection.execute(_FOLD_ORDERS)
    await connection.execute(_TOUCH)
    await connection.execute(text("ANALYZE touched"))
    await connection.execute(_FOLD_UNIT_DAYS)
    return taken


async def rebuild(connection: AsyncConnection, elsewhere: timedelta) -> None:
    """Fold all events again inside this transaction. Readers wait meanwhile. The rows are the same as those of
    incremental folds.
    """
    await _locked(connection, wait=True)
    await connection.execute(text("SET LOCAL work_mem = '256MB'"))
    await connection.execute(text("TRUNCATE exposures, unit_days, stale_tokens"))
    for table in _PREPARE:
        await connection.execute(text(table))
    await connection.execute(_ALL_EXPOSURES, _values(elsewhere))
    await connection.execute(_ALL_ORDERS)
    await connection.execute(_FOLD_ORDERS)
    await connection.execute(_ALL_UNIT_DAYS)


def _values(elsewhere: timedelta) -> dict[str, object]:
    return {"fastest": FASTEST_CLICK, "elsewhere": elsewhere, "furthest": FURTHEST_ZONE}


async def hold_off(connection: AsyncConnection) -> None:
    """Block folds until this transaction ends, because it deletes rows that a fold reads."""
    await _locked(connection, wait=True)


async def _locked(connection: AsyncConnection, *, wait: bool) -> bool:
    if wait:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        return True
    return bool(await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": LOCK}))
