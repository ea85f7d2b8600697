"""Written texts with their provenance, the briefs they were written for, what was served, and prefill work."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Date, ForeignKey, Identity, Index, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class BriefRow(Base):
    """A brief that texts were written for, stored to check them again when the rules change. It holds a query, so it is
    subject to retention.
    """

    __tablename__ = "briefs"

    digest: Mapped[bytes] = mapped_column(primary_key=True)  # digest of the brief's facts, query and bidwords
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # to within a day: a text of it was written, or served
    used_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class TextRow(Base):
    """One written text with its provenance. It is committed before it is first served."""

    __tablename__ = "texts"
    __table_args__ = (
        Index("ix_texts_pool", "pool_key"),
        Index("ix_texts_review", "created_at", postgresql_where=text("state = 'review'")),
        Index("ix_texts_advertiser", "advertiser", "created_at"),
        Index("ix_texts_created_at", "created_at", postgresql_using="brin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    pool_key: Mapped[bytes]
    policy_id: Mapped[int] = mapped_column(ForeignKey("policies.id"))
    origin: Mapped[str]  # model | template | advertiser
    state: Mapped[str]  # app.core.contract.TextState
    title: Mapped[str]
    description: Mapped[str]
    description_2: Mapped[str | None]
    brief_digest: Mapped[bytes] = mapped_column(index=True)
    advertiser: Mapped[str]
    ad_id: Mapped[str]
    industry: Mapped[str]
    locale: Mapped[str]
    platform: Mapped[str]
    spec_version: Mapped[str]
    rules_version: Mapped[str]  # the rules it last passed
    prompt_hash: Mapped[str | None]
    seed: Mapped[int | None]
    score: Mapped[float]
    findings: Mapped[list[Any]]
    held_for: Mapped[list[Any]] = mapped_column(server_default="[]")  # app.core.contract.HeldFor: why it waits, or did
    products: Mapped[list[Any]] = mapped_column(server_default="[]")  # product classes of its brief
    judge: Mapped[str | None]  # the version of the judge that was asked; null: none was
    judgement: Mapped[dict[str, Any] | None]  # adtext.judge.Judgement; null where the judge failed
    edited_from: Mapped[UUID | None]  # the text that a reviewer edited
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    reviewed_by: Mapped[str | None]
    reviewed_at: Mapped[datetime | None]


class Serving(Base):
    """One served text, or, with text_id null, an answer without a text. Written after the answer, in batches."""

    __tablename__ = "servings"
    __table_args__ = (Index("ix_servings_at", "at", postgresql_using="brin"), Index("ix_servings_unit", "unit"))

    id: Mapped[UUID] = mapped_column(primary_key=True)  # the token's serve id
    at: Mapped[datetime]
    request_id: Mapped[str]
    unit: Mapped[bytes]  # HMAC(unit secret, unit id): the caller's id itself is never stored
    phase_id: Mapped[int | None]
    arm: Mapped[int | None] = mapped_column(SmallInteger)  # assigned, whatever was served (intention to treat)
    text_id: Mapped[UUID | None]
    policy_id: Mapped[int | None]
    source: Mapped[int] = mapped_column(SmallInteger)  # abtest.events.Source
    position: Mapped[int] = mapped_column(SmallInteger)
    query: Mapped[str]
    locale: Mapped[str]
    platform: Mapped[str]
    latency_ms: Mapped[float]


class AssignedUnit(Base):
    """Units that requested a text, by arm: the assigned side of the sample-ratio check."""

    __tablename__ = "assigned_units"

    phase_id: Mapped[int] = mapped_column(primary_key=True)
    unit: Mapped[bytes] = mapped_column(primary_key=True)
    arm: Mapped[int] = mapped_column(SmallInteger)
    first_at: Mapped[datetime]


class RequestDay(Base):
    """Requests of one UTC day by arm, source of the first text and latency, counted as the serving log is written:
    guardrails cost the same however long the log is, and outlive its retention."""

    __tablename__ = "request_days"

    phase_id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    arm: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    source: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    latency: Mapped[int] = mapped_column(SmallInteger, primary_key=True)  # a step of 5 %: app.store.requests
    requests: Mapped[int]


class Prefill(Base):
    """A batch of briefs for which texts are written in advance, at low priority."""

    __tablename__ = "prefills"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor: Mapped[str]


class PrefillItem(Base):
    """One brief of a prefill. Workers claim it with a lease, so that a crash loses no brief and replicas share the
    work.
    """

    __tablename__ = "prefill_items"
    __table_args__ = (Index("ix_prefill_items_open", "id", postgresql_where=text("state = 'waiting'")),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    prefill_id: Mapped[UUID] = mapped_column(ForeignKey("prefills.id", ondelete="CASCADE"), index=True)
    number: Mapped[int]  # position in the request
    platform: Mapped[str]
    policy_version: Mapped[str]
    brief: Mapped[dict[str, Any]]  # empty once the item is done or failed: it holds a query
    state: Mapped[str] = mapped_column(default="waiting")  # waiting | done | failed
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())  # taken by a worker until then
    texts: Mapped[int] = mapped_column(default=0)  # approved texts in the pool afterwards
    reason: Mapped[str | None]  # why there are none
