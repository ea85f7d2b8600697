"""Events as received, and what they are folded into: one row per token, then one row per unit and day.

events ─(stale_tokens lists what changed)→ exposures ─→ unit_days ─→ arm_days ─→ report; exposures ─→ token_days.

Exposures and unit_days are recomputed from the previous step, never incremented, so repeated, reordered and late
events do not change the result. A full rebuild gives the same rows.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Column, Date, Index, Integer, SmallInteger, Table, Text, Uuid, false, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class EventRow(Base):
    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_event_id", "event_id"),
        Index("ix_events_corrections", "serve_id", postgresql_where=text("corrects IS NOT NULL")),
        Index("ix_events_occurred_at", "occurred_at", postgresql_using="brin"),
    )

    serve_id: Mapped[UUID] = mapped_column(primary_key=True)
    # 0 impression, 1 click, 2 conversion, 3 retraction
    kind: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    event_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)  # in the order in which Python sorts
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
    currency: Mapped[str | None]
    order_id: Mapped[str | None]
    corrects: Mapped[str | None] = mapped_column(Text(collation="C"))  # event_id of the event taken back or restated
    invalid_reason: Mapped[str | None]  # the ad system's, or ours (prefetch, bot)
    reused: Mapped[bool] = mapped_column(server_default=false())  # another event had this event_id already


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
        Index("ix_exposures_order", "order_id", "order_advertiser", postgresql_where=text("order_id IS NOT NULL")),
    )

    serve_id: Mapped[UUID] = mapped_column(primary_key=True)
    unit: Mapped[bytes]
    phase_id: Mapped[int | None]
    arm: Mapped[int | None] = mapped_column(SmallInteger)
    text_id: Mapped[UUID]
    policy_id: Mapped[int]
    source: Mapped[int] = mapped_column(SmallInteger)
    served_at: Mapped[datetime | None]  # None: folded before this column was there
    impression_at: Mapped[datetime | None]
    click_at: Mapped[datetime | None]
    conversion_at: Mapped[datetime | None]
    value: Mapped[float | None]
    order_advertiser: Mapped[str | None]
    order_id: Mapped[str | None]
    clicked: Mapped[bool]  # counted click
    converted: Mapped[bool]  # counted conversion
    view_through: Mapped[bool]  # in the window, without a click before it
    repeated_order: Mapped[bool]  # another token's earlier conversion has the same order
    shifted: Mapped[bool]  # shown a whole number of hours after it was served: counted nowhere
    invalid: Mapped[bool]  # bot, prefetch, too fast, or said so by the ad system
    events: Mapped[int] = mapped_column(Integer)
    reused_ids: Mapped[int] = mapped_column(Integer)  # events whose id another event had already
    unmatched_corrections: Mapped[int] = mapped_column(Integer)  # corrections of events that were never received


class TokenDay(Base):
    """What was reported about the tokens of one arm and UTC day, and what of it does not count: exposures, summed.

    Kept by triggers on exposures, as arm_days by those on unit_days. The day is that of the token's first event in the
    order of the funnel.
    """

    __tablename__ = "token_days"

    phase_id: Mapped[int] = mapped_column(primary_key=True)
    arm: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    tokens: Mapped[int]
    impressions: Mapped[int]  # tokens with one
    conversions: Mapped[int]  # tokens with one, counted or not
    orphans: Mapped[int]  # tokens with a click or conversion and no impression
    view_through: Mapped[int]
    repeated_orders: Mapped[int]
    shifted: Mapped[int]
    events: Mapped[int]
    reused_ids: Mapped[int]
    unmatched_corrections: Mapped[int]


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
    first_day: Mapped[date] = mapped_column(Date)  # the first day that the unit was shown this arm
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
    units_in_two_arms: Mapped[int]  # units first shown this arm that day and another arm later
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
