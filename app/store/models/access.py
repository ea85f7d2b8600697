"""API keys, of which only a hash is stored, and page sessions that were signed out."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Identity, func
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class ApiKey(Base):
    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(unique=True)  # the readable start of the key, for lists and logs
    digest: Mapped[bytes] = mapped_column(
        unique=True
    )  # SHA-256 of the whole key; keys are 256 random bits, so no salt or stretching is needed
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    advertiser: Mapped[str | None]  # None: every advertiser
    rate_per_second: Mapped[float | None]  # None: the deployment's default
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class EndedSession(Base):
    """A page session that was signed out before its cookie expired. The row is deleted once the cookie has expired."""

    __tablename__ = "ended_sessions"

    session: Mapped[bytes] = mapped_column(primary_key=True)  # the random id inside the cookie
    expires_at: Mapped[datetime]  # when the cookie expires by itself
