"""What people decide about texts: who has one open, and every decision with what it was made on."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, false, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class ReviewLock(Base):
    """One reviewer has a text open, until it is decided or the time is over."""

    __tablename__ = "review_locks"

    text_id: Mapped[UUID] = mapped_column(ForeignKey("texts.id", ondelete="CASCADE"), primary_key=True)
    key_id: Mapped[int]
    reviewer: Mapped[str]
    opened_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class ReviewDecision(Base):
    """One decision. It holds the text and its findings as they were, so that it says the same later."""

    __tablename__ = "review_decisions"
    __table_args__ = (
        Index("ix_review_decisions_text", "text_id"),
        Index("ix_review_decisions_at", "decided_at"),
        Index("ix_review_decisions_key", "key_id", "id"),
        Index("ix_review_decisions_second", "decided_at", postgresql_where=text("wants_second")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    text_id: Mapped[UUID]
    key_id: Mapped[int]
    reviewer: Mapped[str]
    decision: Mapped[str]  # approve | reject | edit
    reason: Mapped[str | None]  # app.core.contract.RejectReason
    note: Mapped[str]
    opened_at: Mapped[datetime | None]  # None: decided without opening it first, over the API
    decided_at: Mapped[datetime] = mapped_column(server_default=func.now())
    undone_at: Mapped[datetime | None]
    state_before: Mapped[str]
    state_after: Mapped[str]
    reviewer_before: Mapped[str | None]  # who had decided about the text before
    second_of: Mapped[int | None]  # a second opinion: the first decision's id
    wants_second: Mapped[bool] = mapped_column(server_default=false())  # sampled, and not given yet
    overturned: Mapped[bool] = mapped_column(server_default=false())  # the second opinion differs
    edited_id: Mapped[UUID | None]  # the text that an edit wrote
    brief_digest: Mapped[bytes]
    title: Mapped[str]
    description: Mapped[str]
    description_2: Mapped[str | None]
    locale: Mapped[str]
    held_for: Mapped[list[Any]]
    findings: Mapped[list[Any]]
