"""Who may call: API keys. Only a key's hash is stored; the key itself is shown once."""

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
    rate_per_second: Mapped[float | None]  # None: the deployment's default
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
