"""The end of a page session, announced to every replica in its own transaction."""

from __future__ import annotations

from datetime import datetime

from app.store import keys as store
from app.store.database import AsyncConnection
from app.store.registry import announce


async def end_session(connection: AsyncConnection, session: bytes, expires_at: datetime) -> None:
    """Sign a session out. `expires_at`: when its cookie would have expired."""
    await store.end_session(connection, session, expires_at)
    await announce(connection, "registry")
