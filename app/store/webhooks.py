"""Deliveries of webhooks in the database. The audit log is the outbox: a decision and its entry are one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, text, update

from app.store.database import AsyncConnection
from app.store.models.experiments import AuditEntry
from app.store.models.webhooks import WebhookDelivery

# decisions of gate, canary, promotion and rollback
_DECISIONS = (
    "(action LIKE 'gate.%' OR action LIKE 'canary.%' OR action LIKE 'policy.promote.%' OR action = 'policy.rollback')"
)
# Entries by their absence, not by a number seen last: a transaction may commit after one with a later number. Older
# ones are not sent: an address that is set today must not get the history.
_UNSENT = f"""
    FROM audit_log CROSS JOIN unnest(CAST(:urls AS text[])) AS receivers (url)
    WHERE at > now() - :fresh AND {_DECISIONS}
        AND NOT EXISTS (
            SELECT FROM webhook_deliveries sent WHERE sent.audit_id = audit_log.id AND sent.url = receivers.url
        )"""
_ADD = text(f"INSERT INTO webhook_deliveries (audit_id, url) SELECT id, receivers.url {_UNSENT} ON CONFLICT DO NOTHING")
_ANY_UNSENT = text(f"SELECT EXISTS (SELECT {_UNSENT})")


async def add_unsent(connection: AsyncConnection, urls: Sequence[str], fresh: timedelta) -> None:
    """Write down what is to be sent about decisions that are no older than `fresh`."""
    await connection.execute(_ADD, {"urls": list(urls), "fresh": fresh})


async def anything_due(connection: AsyncConnection, urls: Sequence[str], fresh: timedelta) -> bool:
    """Whether something is to be sent now."""
    waiting = select(WebhookDelivery.audit_id).where(
        WebhookDelivery.ended_at.is_(None), WebhookDelivery.due_at <= func.now(), WebhookDelivery.url.in_(urls)
    )
    if (await connection.execute(waiting.limit(1))).one_or_none() is not None:
        return True
    return bool(await connection.scalar(_ANY_UNSENT, {"urls": list(urls), "fresh": fresh}))


async def claim(connection: AsyncConnection, urls: Sequence[str], lease: timedelta) -> Any | None:
    """The delivery that is due longest, with its decision; nobody else gets it during the lease."""
    due = select(WebhookDelivery.audit_id, WebhookDelivery.url).where(
        WebhookDelivery.ended_at.is_(None), WebhookDelivery.due_at <= func.now(), WebhookDelivery.url.in_(urls)
    )
    oldest = due.order_by(WebhookDelivery.due_at, WebhookDelivery.audit_id).limit(1).with_for_update(skip_locked=True)
    row = (await connection.execute(oldest)).one_or_none()
    if row is None:
        return None
    mine = (WebhookDelivery.audit_id == row.audit_id, WebhookDelivery.url == row.url)
    await connection.execute(
        update(WebhookDelivery).where(*mine).values(attempts=WebhookDelivery.attempts + 1, due_at=func.now() + lease)
    )
    columns = (WebhookDelivery.audit_id, WebhookDelivery.url, WebhookDelivery.attempts)
    entry = (AuditEntry.at, AuditEntry.actor, AuditEntry.action, AuditEntry.subject, AuditEntry.detail)
    joined = select(*columns, *entry).join(AuditEntry, AuditEntry.id == WebhookDelivery.audit_id).where(*mine)
    return (await connection.execute(joined)).one()


async def change(connection: AsyncConnection, audit_id: int, url: str, **values: Any) -> None:
    mine = (WebhookDelivery.audit_id == audit_id, WebhookDelivery.url == url)
    await connection.execute(update(WebhookDelivery).where(*mine).values(**values))
