"""Why to retrain by itself: enough conversions matured, or a guardrail of the champion fell. Days and conversions are
counted, not the ticks of a clock.
"""

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
    SELECT CAST(coalesce(sum(candidates), 0) AS bigint) AS candidates,
           CAST(coalesce(sum(compliant), 0) AS bigint) AS compliant,
           CAST(coalesce(sum(judged), 0) AS bigint) AS judged, CAST(coalesce(sum(passed), 0) AS bigint) AS passed
    FROM candidate_counts JOIN policies ON policies.id = policy_id JOIN policy_aliases USING (version)
    WHERE alias = 'champion' AND day >= :first""")
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


async def fresh_conversions(connection: AsyncConnection, settings: Settings) -> int:
    """Counted conversions that matured since the chain `retrain` was last started, however it ended."""
    since = await store.last_created(connection, RETRAIN) or _BEGINNING
    values = {"elsewhere": settings.window_hours, "lateness": LATENESS, "since": since}
    return int(await connection.scalar(_FRESH, values) or 0)


DAYS = 2  # a guardrail is computed over the texts of so many days, today included
MIN_TEXTS = 200
STANDARD_ERRORS = 3.0  # under the limit, so that chance alone starts no training


async def fallen_guardrail(connection: AsyncConnection, settings: Settings) -> str | None:
    """The champion's guardrail that fell under its limit, in words; None where all hold.

    Only days after the one on which `retrain` was last started count: one fall starts one chain, and not the next
    before its result can show.
    """
    limits = (settings.retrain_compliance, settings.retrain_judge_pass)
    if not any(limits):
        return None
    last = await store.last_created(connection, RETRAIN)
    first = datetime.now(UTC).date() - timedelta(days=DAYS - 1)
    if last is not None:
        first = max(first, last.astimezone(UTC).date() + timedelta(days=1))
    row = (await connection.execute(_QUALITY, {"first": first})).one()
    counted = (("Compliance Rate", row.compliant, row.candidates), ("the judge passes", row.passed, row.judged))
    fallen = [
        f"{name} {good / count:.1%} of {count:,} since {first}, under {limit:.1%}"
        for (name, good, count), limit in zip(counted, limits, strict=True)
        if count >= MIN_TEXTS and limit - good / count > STANDARD_ERRORS * sqrt(limit * (1 - limit) / count)
    ]
    return "; ".join(fallen) or None
