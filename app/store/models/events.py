"""Events as they came, and what they fold to: one row a token, then one row a unit and day.

events ─(stale_tokens names what changed)→ exposures ─→ unit_days ─→ arm_days ─→ report. Exposures and unit_days are
recomputed from the step before, never added to, so repetition, order and lateness cannot matter. A full rebuild gives
the same rows.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Column, Date, Index, Integer, SmallInteger, Table, Uuid, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class EventRow(Base):
    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_serve_id", "serve_id"),
        Index("ix_events_occurred_at", "occurred_at", postgresql_using="brin"),
    )

    event_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[int] = mapped_column(SmallInteger)  # 0 impression, 1 click, 2 conversion
    serve_id: Mapped[UUID]
    unit: Mapped[bytes]
    phase_id: Mapped[int | None]
    arm: Mapped[int | None] = mapped_column(SmallInteger)
    text_id: Mapped[UUID]
    policy_id: Mapped[int]
    source: Mapped[int] = mapped_column(SmallInteger)
    served_at: Mapped[datetime]
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    value: Mapped[float | None]
    order_id: Mapped[str | None]
    invalid_reason: Mapped[str | None]  # the ad system's, or ours (prefetch, bot)


# Tokens whose events changed since they were last folded: a queue, written in the events' own transaction. No key, so
# no index to keep.
stale_tokens = Table("stale_tokens", Base.metadata, Column("serve_id", Uuid, nullable=False))


class Exposure(Base):
    """One token: the earliest time of each kind (abtest.attribution)."""

    __tablename__ = "exposures"
    __table_args__ = (
        Index("ix_exposures_phase_impression", "phase_id", "impression_at"),
        Index("ix_exposures_unit", "unit"),
        Index("ix_exposures_text", "text_id"),
    )

    serve_id: Mapped[UUID] = mapped_column(primary_key=True)
    unit: Mapped[bytes]
    phase_id: Mapped[int | None]
    arm: Mapped[int | None] = mapped_column(SmallInteger)
    text_id: Mapped[UUID]
    policy_id: Mapped[int]
    source: Mapped[int] = mapped_column(SmallInteger)
    impression_at: Mapped[datetime | None]
    click_at: Mapped[datetime | None]
    conversion_at: Mapped[datetime | None]
    value: Mapped[float | None]
    clicked: Mapped[bool]  # counted click
    converted: Mapped[bool]  # counted conversion
    invalid: Mapped[bool]  # bot, prefetch, too fast, or said so by the ad system


class UnitDay(Base):
    """One unit's impressions of one UTC day in one arm, what those impressions led to, and the unit's totals in that
    arm before that day.

    With the totals before it, each row says by how much its day raised the unit's squares and products, (b+x)² - b² =
    x·(2b+x): the sums over units at any cutoff, their course over the days and the cohorts by first day are plain sums
    over rows, without a pass per unit.
    """

    __tablename__ = "unit_days"
    __table_args__ = (Index("ix_unit_days_two_arms", "phase_id", postgresql_where=text("two_arms")),)

    phase_id: Mapped[int] = mapped_column(primary_key=True)
    unit: Mapped[bytes] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    arm: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    first_day: Mapped[date] = mapped_column(Date)  # of the unit in this arm
    two_arms: Mapped[bool]  # the unit was shown another arm of the phase too
    impressions: Mapped[int] = mapped_column(Integer)
    clicks: Mapped[int] = mapped_column(Integer)
    conversions: Mapped[int] = mapped_column(Integer)
    impressions_before: Mapped[int] = mapped_column(Integer)
    clicks_before: Mapped[int] = mapped_column(Integer)
    conversions_before: Mapped[int] = mapped_column(Integer)
    valid_impressions: Mapped[int] = mapped_column(Integer)
    valid_clicks: Mapped[int] = mapped_column(Integer)
    valid_conversions: Mapped[int] = mapped_column(Integer)
    valid_impressions_before: Mapped[int] = mapped_column(Integer)
    valid_clicks_before: Mapped[int] = mapped_column(Integer)
    valid_conversions_before: Mapped[int] = mapped_column(Integer)


class ArmDay(Base):
    """What one day added to an arm's sums over the units first shown it on first_day: unit_days, summed.

    Kept by triggers on unit_days (see the migration): whoever changes a unit's days changes these sums in the same
    statement, by whole numbers, so they are exact. A report reads a row a day and cohort, however many units and events
    there are.
    """

    __tablename__ = "arm_days"

    phase_id: Mapped[int] = mapped_column(primary_key=True)
    arm: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    first_day: Mapped[date] = mapped_column(Date, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    units_in_two_arms: Mapped[int]  # of the units first shown this arm that day
    n: Mapped[int]  # units whose first impression came that day; the names are abtest.sums.FunnelSums'
    impressions: Mapped[int]
    clicks: Mapped[int]
    conversions: Mapped[int]
    sum_ii: Mapped[int]
    sum_cc: Mapped[int]
    sum_vv: Mapped[int]
    sum_ic: Mapped[int]
    sum_iv: Mapped[int]
    sum_cv: Mapped[int]
    valid_n: Mapped[int]
    valid_impressions: Mapped[int]
    valid_clicks: Mapped[int]
    valid_conversions: Mapped[int]
    valid_sum_ii: Mapped[int]
    valid_sum_cc: Mapped[int]
    valid_sum_vv: Mapped[int]
    valid_sum_ic: Mapped[int]
    valid_sum_iv: Mapped[int]
    valid_sum_cv: Mapped[int]
