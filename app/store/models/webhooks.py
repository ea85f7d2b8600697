"""Webhooks: what was sent about a decision in the audit log, to which address, and when it is tried again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class WebhookDelivery(Base):
    """One decision for one address."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index("ix_webhook_deliveries_due_at", "due_at", postgresql_where=text("ended_at IS NULL")),)

    audit_id: Mapped[int] = mapped_column(ForeignKey("audit_log.id", ondelete="CASCADE"), primary_key=True)
    url: Mapped[str] = mapped_column(primary_key=True)
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    delivered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]  # delivered, or given up
    error: Mapped[str | None]  # the error of the latest attempt
