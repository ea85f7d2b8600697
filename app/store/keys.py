"""API keys in the database: their digests, never the keys; and page sessions that were signed out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.store.database import AsyncConnection
from app.store.models.access import ApiKey, EndedSession

_SHOWN = (
    ApiKey.id,
    ApiKey.name,
    ApiKey.prefix,
    ApiKey.scopes,
    ApiKey.advertiser,
    ApiKey.rate_per_second,
    ApiKey.created_at,
    ApiKey.expires_at,
    ApiKey.revoked_at,
)


async def add_key(connection: AsyncConnection, **values: Any) -> Any:
    return (await connection.execute(insert(ApiKey).values(**values).returning(*_SHOWN))).one()


async def list_keys(connection: AsyncConnection, after: int, limit: int) -> Sequence[Any]:
    """Keys in order of creation, revoked ones included."""
    return (await connection.execute(select(*_SHOWN).where(ApiKey.id > after).order_by(ApiKey.id).limit(limit))).all()


async def lock_key(connection: AsyncConnection, key_id: int) -> Any:
    """The key, locked until this transaction ends."""
    return (await connection.execute(select(*_SHOWN).where(ApiKey.id == key_id).with_for_update())).one_or_none()


async def set_expiry(connection: AsyncConnection, key_id: int, expires_at: datetime) -> Any:
    return (
        await connection.execute(
            update(ApiKey).where(ApiKey.id == key_id).values(expires_at=expires_at).returning(*_SHOWN)
        )
    ).one()


async def set_revoked(connection: AsyncConnection, key_id: int) -> Any:
    return (
        await connection.execute(
            update(ApiKey).where(ApiKey.id == key_id).values(revoked_at=func.now()).returning(*_SHOWN)
        )
    ).one()


async def end_session(connection: AsyncConnection, session: bytes, expires_at: datetime) -> None:
    """Record that this session was signed out, and delete the sessions that have expired."""
    await connection.execute(delete(EndedSession).where(EndedSession.expires_at < func.now()))
    await connection.execute(
        insert(EndedSession).values(session=session, expires_at=expires_at).on_conflict_do_nothing()
    )
