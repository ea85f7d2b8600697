"""Erasure of units on request, and retention."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from app.core.secrets import Secrets
from app.core.settings import Settings
from app.services.serving.serving_log import ServingLog
from app.store import privacy as store
from app.store.audit import record
from app.store.database import Database
from app.store.jobs import note_run

BATCH = 5_000  # rows deleted in one transaction: short enough not to disturb serving


async def erase(database: Database, secrets: Secrets, log: ServingLog, unit_id: str, *, actor: str) -> dict[str, int]:
    """Delete all rows of a unit; returns the number of deleted rows by table. The audit log stores the counts, not the
    unit.

    Servings that this replica has not written yet are written first. An event that comes in later, with a token the
    unit still holds, is a new row: stop sending them, or erase again.
    """
    await log.flush()
    async with database.begin() as connection:
        counts = await store.erase_unit(connection, secrets.unit_digest(unit_id))
        await record(connection, actor, "unit.erase", "unit", **counts)
    return counts


async def retain(settings: Settings, database: Database, now: datetime | None = None) -> dict[str, int]:
    """Delete rows past their retention, `BATCH` rows per transaction; returns the number of deleted rows. Safe to stop
    and to repeat.

    servings, prefill items             retention_servings_days: they hold queries
    briefs                              retention_servings_days after their last use: a text written for it, or served.
        `texts_retired` left the pool with their brief; what is asked for again is written again
    exposures, events                   retention_events_days after a token's last event; unit totals follow at the next
        fold
    assigned_units                      retention_events_days after the unit was first assigned
    """
    at = now or datetime.now(UTC)
    queries, events = (
        at - timedelta(days=settings.retention_servings_days),
        at - timedelta(days=settings.retention_events_days),
    )
    steps = (
        (store.old_servings, queries), (store.old_briefs, queries), (store.old_prefill_items, queries),
        (store.old_exposures, events), (store.old_assigned_units, events),
    )  # fmt: skip
    total: Counter[str] = Counter()
    for delete, before in steps:
        deleted = True
        while deleted:
            async with database.begin() as connection:
                counts = await delete(connection, before, BATCH)
            total.update(counts)
            deleted = any(counts.values())
    async with database.begin() as connection:
        await note_run(connection, "retention")
    return dict(total)
