"""How much was learned since the last retraining: conversions are counted, not the ticks of a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import sqrt

from sqlalchemy import text

from abtest.attribution import LATENESS
from app.core.settings import Settings
from app.services.jobs.kinds import RETRAIN
from app.store import jobs as store
from app.store.database import AsyncConnection

_FRESH = text("""
    SELECT count(*) FROM (
        SELECT impression_at + coalesce(window_hours, :elsewhere) * interval '1 hour' + :lateness AS mature_at
        FROM exposures
        LEFT JOIN phases ON phases.id = exposures.phase_id
        LEFT JOIN experiments ON experiments.id = experiment_id
        WHERE converted AND NOT exposures.invalid AND NOT shifted
    ) counted
    WHERE mature_at <= now() AND mature_at > :since""")
_QUALITY = text("""
    SELECT coalesce(sum(candidates), 0) AS candidates, coalesce(sum(compliant), 0) AS compliant,
           coalesce(sum(judged), 0) AS judged, coalesce(sum(passed), 0) AS passed
    FROM candidate_counts JOIN policies ON policies.id = policy_id JOIN policy_aliases USING (version)
    WHERE alias = 'champion' AND day >= :first""")
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


async def fresh_conversions(connection: AsyncConnection, settings: Settings) -> int:
    """Counted conversions that matured since the chain `retrain` was last started, however it ended."""
    since = await store.last_created(connection, RETRAIN) or _BEGINNING
    values = {"elsewhere": settings.window_hours, "lateness": LATENESS, "since": since}
    return int(await connection.scalar(_FRESH, values) or 0)
