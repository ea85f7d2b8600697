"""Experiments, their phases, and the audit log of all changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class Experiment(Base):
    """One A/B test. It enrols the units of its layer whose bucket lies in [low, high). Increasing the coverage keeps
    enrolled units in their arm.
    """

    __tablename__ = "experiments"
    __table_args__ = (CheckConstraint("0 <= low AND low <= high AND high <= 10000", name="range"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    # its name is the layer's salt: experiments of one layer exclude each other
    layer: Mapped[str] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(default="draft")  # draft | running | stopped
    low: Mapped[int]
    high: Mapped[int]
    window_hours: Mapped[int]  # attribution window, frozen at start
    planned_units: Mapped[int]  # both arms together, frozen at start: the always-valid interval is tuned to it
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]


class Phase(Base):
    """A period of an experiment with fixed weights. Reports show one phase; phases are never summed."""

    __tablename__ = "phases"
    __table_args__ = (UniqueConstraint("experiment_id", "number"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)  # what tokens carry
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    number: Mapped[int]
    salt: Mapped[str]
    # [{"name": …, "policy": version, "weight": of 10,000}], control first; a token's arm is the index
    arms: Mapped[list[Any]]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class AuditEntry(Base):
    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor: Mapped[str]  # the key's name and prefix, or "cli"
    action: Mapped[str]  # e.g. experiment.ramp
    subject: Mapped[str] = mapped_column(index=True)  # e.g. experiment:title-relate-v3
    detail: Mapped[dict[str, Any]]


class Revision(Base):
    """The revision of each topic that replicas hold in memory: a change increments it in the same transaction and
    notifies.
    """

    __tablename__ = "revisions"

    topic: Mapped[str] = mapped_column(primary_key=True)  # registry | rules
    number: Mapped[int] = mapped_column(default=1)
    value: Mapped[str] = mapped_column(default="")  # rules: the version in force
