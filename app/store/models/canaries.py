"""Canaries: policies that passed the gate and take a growing share of the traffic."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class Canary(Base):
    """One canary. The audit log holds every step of it under its policy."""

    __tablename__ = "canaries"
    __table_args__ = (Index("uq_canaries_open", "layer", unique=True, postgresql_where=text("ended_at IS NULL")),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    version: Mapped[str] = mapped_column(ForeignKey("policies.version"), index=True)
    champion: Mapped[str] = mapped_column(ForeignKey("policies.version"))  # what it is compared with
    layer: Mapped[str]
    rules: Mapped[dict[str, Any]]  # app.services.canary.rules.CanaryRules
    state: Mapped[str]  # warming | ramping | paused | won | promoted | rolled_back | stopped
    share: Mapped[int] = mapped_column(server_default=text("0"))  # step of the ramp, from 0
    since: Mapped[datetime] = mapped_column(server_default=func.now())  # in this state and on this share
    reason: Mapped[str]  # why the latest look decided as it did, one sentence
    experiment: Mapped[str | None] = mapped_column(ForeignKey("experiments.name"))  # null before the ramp
    prefill_id: Mapped[UUID | None] = mapped_column(ForeignKey("prefills.id"))  # what is written ahead before it
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))  # that started it
    actor: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    looked_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
