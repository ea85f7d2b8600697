"""Events → exposures → unit_days, in SQL: the same definition as `abtest.attribution`, held equal to it by a property
test.

A fold takes the tokens whose events changed, recomputes their exposures from the events, and the days of the units
they touch from the exposures. Nothing is added to: order, repetition and lateness cannot matter, and `rebuild` gives
the same rows.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from app.store.database import AsyncConnection

BATCH = 50_000  # rows of the queue folded in one transaction
FASTEST_CLICK = timedelta(milliseconds=500)  # after the impression: no person reads and clicks faster
LOCK = 0x52454C41  # advisory: one folder at a time, over all replicas

_EXPOSURES = """
    INSERT INTO exposures (serve_id, unit, phase_id, arm, text_id, policy_id, source, impression_at, click_at, conversion_at, value,
                           clicked, converted, invalid)
    SELECT serve_id, unit, phase_id, arm, text_id, policy_id, source, impression_at, click_at, conversion_at, value,
           coalesce(click_at < impression_at + win, false),
           coalesce(conversion_at >= impression_at AND conversion_at < impression_at + win AND click_at <= conversion_at, false),
           flagged OR coalesce(click_at >= impression_at AND click_at < impression_at + CAST(:fastest AS interval), false)
                   OR (click_at IS NOT NULL AND impression_at IS NULL)
    FROM (
        SELECT serve_id, unit, phase_id, arm, text_id, policy_id, source,
               min(occurred_at) FILTER (WHERE kind = 0) AS impression_at,
               min(occurred_at) FILTER (WHERE kind = 1) AS click_at,
               min(occurred_at) FILTER (WHERE kind = 2) AS conversion_at,
               (array_agg(value ORDER BY occurred_at, event_id) FILTER (WHERE kind = 2))[1] AS value,
               bool_or(invalid_reason IS NOT NULL) AS flagged
        FROM events {only_stale}
        GROUP BY serve_id, unit, phase_id, arm, text_id, policy_id, source
    ) tokens
    LEFT JOIN (
        SELECT phases.id AS phase_id, window_hours * interval '1 hour' AS phase_window
        FROM phases JOIN experiments ON experiments.id = experiment_id
    ) windows USING (phase_id)
    CROSS JOIN LATERAL (SELECT coalesce(phase_window, CAST(:elsewhere AS interval)) AS win) chosen
    ON CONFLICT (serve_id) DO UPDATE SET
        impression_at = excluded.impression_at, click_at = excluded.click_at, conversion_at = excluded.conversion_at,
        value = excluded.value, clicked = excluded.clicked, converted = excluded.converted, invalid = excluded.invalid"""

_COUNTS = """impressions, clicks, conversions, impressions_before, clicks_before, conversions_before, valid_impressions, valid_clicks,
    valid_conversions, valid_impressions_before, valid_clicks_before, valid_conversions_before"""
_EXCLUDED = ", ".join(f"excluded.{name.strip()}" for name in _COUNTS.split(","))
_KEYS = "phase_id, unit, day, arm"
_KEYS_OF = ", ".join(f"{{0}}.{name}" for name in _KEYS.split(", "))
_COLUMNS = f"{_KEYS}, first_day, two_arms, {_COUNTS}"
_DAYS = """
    SELECT phase_id, unit, day, arm, min(day) OVER so_far AS first_day, min(arm) OVER anywhere <> max(arm) OVER anywhere AS two_arms,
           impressions, clicks, conversions,
           CAST(sum(impressions) OVER so_far - impressions AS integer) AS impressions_before,
           CAST(sum(clicks) OVER so_far - clicks AS integer) AS clicks_before,
           CAST(sum(conversions) OVER so_far - conversions AS integer) AS conversions_before,
           valid_impressions, valid_clicks, valid_conversions,
           CAST(sum(valid_impressions) OVER so_far - valid_impressions AS integer) AS valid_impressions_before,
           CAST(sum(valid_clicks) OVER so_far - valid_clicks AS integer) AS valid_clicks_before,
           CAST(sum(valid_conversions) OVER so_far - valid_conversions AS integer) AS valid_conversions_before
    FROM (
        SELECT phase_id, unit, CAST(impression_at AT TIME ZONE 'UTC' AS date) AS day, arm,
               CAST(count(*) AS integer) AS impressions,
               CAST(count(*) FILTER (WHERE clicked) AS integer) AS clicks,
               CAST(count(*) FILTER (WHERE converted) AS integer) AS conversions,
               CAST(count(*) FILTER (WHERE NOT invalid) AS integer) AS valid_impressions,
               CAST(count(*) FILTER (WHERE clicked AND NOT invalid) AS integer) AS valid_clicks,
               CAST(count(*) FILTER (WHERE converted AND NOT invalid) AS integer) AS valid_conversions
        FROM exposures {only_touched}
        WHERE impression_at IS NOT NULL AND phase_id IS NOT NULL
        GROUP BY phase_id, unit, day, arm
    ) days
    WINDOW so_far AS (PARTITION BY phase_id, unit, arm ORDER BY day), anywhere AS (PARTITION BY phase_id, unit)"""

_PREPARE = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS stale (serve_id uuid) ON COMMIT DELETE ROWS",
    "CREATE TEMPORARY TABLE IF NOT EXISTS touched (phase_id bigint, unit bytea) ON COMMIT DELETE ROWS",
)
_TAKE = text("""
    WITH taken AS (
        DELETE FROM stale_tokens WHERE ctid = ANY (ARRAY(SELECT ctid FROM stale_tokens LIMIT :batch)) RETURNING serve_id
    ), distinct_tokens AS (
        INSERT INTO stale SELECT DISTINCT serve_id FROM taken
    )
    SELECT count(*) FROM taken""")
_TOUCH = text("""
    INSERT INTO touched SELECT DISTINCT phase_id, unit FROM exposures JOIN stale USING (serve_id) WHERE phase_id IS NOT NULL""")
_FOLD_EXPOSURES = text(_EXPOSURES.format(only_stale="JOIN stale USING (serve_id)"))
_FOLD_UNIT_DAYS = text(f"""
    WITH fresh AS MATERIALIZED ({_DAYS.format(only_touched="JOIN touched USING (phase_id, unit)")}), known AS MATERIALIZED (
        SELECT {_COLUMNS} FROM unit_days JOIN touched USING (phase_id, unit)
    ), gone AS (
        DELETE FROM unit_days USING (SELECT {_KEYS} FROM known EXCEPT SELECT {_KEYS} FROM fresh) past
        WHERE ({_KEYS_OF.format("unit_days")}) = ({_KEYS_OF.format("past")})
    )
    INSERT INTO unit_days ({_COLUMNS}) SELECT {_COLUMNS} FROM fresh EXCEPT SELECT {_COLUMNS} FROM known
    ON CONFLICT ({_KEYS}) DO UPDATE
    SET (first_day, two_arms, {_COUNTS}) = ROW(excluded.first_day, excluded.two_arms, {_EXCLUDED})""")
_ALL_EXPOSURES = text(_EXPOSURES.format(only_stale=""))
_ALL_UNIT_DAYS = text(f"INSERT INTO unit_days ({_COLUMNS}) {_DAYS.format(only_touched='')}")


async def fold(connection: AsyncConnection, elsewhere: timedelta, *, wait: bool = True) -> int:
    """Fold up to BATCH rows of the queue inside this transaction; returns how many there were.

    elsewhere: the attribution window of tokens outside every experiment. wait=False: 0 at once while somebody else is
    folding.
    """
    if not await _locked(connection, wait=wait):
        return 0
    await connection.execute(text("SET LOCAL work_mem = '64MB'"))  # one fold at a time: sorts need not spill
    for statement in _PREPARE:
        await connection.execute(text(statement))
    taken: int = (await connection.execute(_TAKE, {"batch": BATCH})).scalar_one()
    if not taken:
        return 0
    await connection.execute(text("ANALYZE stale"))  # else the planner may scan all events for a handful of tokens
    await connection.execute(_FOLD_EXPOSURES, {"fastest": FASTEST_CLICK, "elsewhere": elsewhere})
    await connection.execute(_TOUCH)
    await connection.execute(text("ANALYZE touched"))
    await connection.execute(_FOLD_UNIT_DAYS)
    return taken


async def rebuild(connection: AsyncConnection, elsewhere: timedelta) -> None:
    """Fold everything anew inside this transaction. Readers wait meanwhile; the rows are the ones that folding step by
    step gave.
    """
    await _locked(connection, wait=True)
    await connection.execute(text("SET LOCAL work_mem = '256MB'"))
    await connection.execute(text("TRUNCATE exposures, unit_days, stale_tokens"))
    await connection.execute(_ALL_EXPOSURES, {"fastest": FASTEST_CLICK, "elsewhere": elsewhere})
    await connection.execute(_ALL_UNIT_DAYS)


async def hold_off(connection: AsyncConnection) -> None:
    """Keep every fold waiting until this transaction ends: for those who delete what a fold reads."""
    await _locked(connection, wait=True)


async def _locked(connection: AsyncConnection, *, wait: bool) -> bool:
    if wait:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        return True
    return bool(await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": LOCK}))
