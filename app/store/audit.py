"""The audit log: who changed what, written in the transaction of the change."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from app.store.database import AsyncConnection
from app.store.models.experiments import AuditEntry


async def record(connection: AsyncConnection, actor: str, action: str, subject: str, **detail: Any) -> None:
    """`actor` is `auth.actor(key)` or "cli"; e.g. record(connection, "ops (rk_…)", "key.revoke", "key:7")."""
    await connection.execute(insert(AuditEntry).values(actor=actor, action=action, subject=subject, detail=detail))
