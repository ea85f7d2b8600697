"""What was withdrawn from serving and not restored yet."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Identity, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class Withdrawal(Base):
    """A text, an advertiser or a policy that no replica serves. Restoring deletes the row; the audit log keeps both."""

    __tablename__ = "withdrawals"
    __table_args__ = (UniqueConstraint("kind", "key"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str]  # text | advertiser | policy
    key: Mapped[str]  # what replicas compare: app.store.withdrawals.Withdrawn
    advertiser: Mapped[str | None]  # as it was written; None for a policy
    subject: Mapped[str]  # the text's id, the advertiser's name, the policy's version
    title: Mapped[str | None]  # the withdrawn text's title, shown in lists
    reason: Mapped[str]
    actor: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
