"""Blind comparisons of two policies: the pairs that were drawn, and what annotators said of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, func
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class Comparison(Base):
    """Two policies whose texts are compared pair by pair (RELATE §4.3)."""

    __tablename__ = "comparisons"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str]  # what annotators see: it names no policy
    policy: Mapped[str] = mapped_column(ForeignKey("policies.version"))
    baseline: Mapped[str] = mapped_column(ForeignKey("policies.version"))
    seed: Mapped[bytes]  # decides sides and order; nobody is shown it
    actor: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ComparisonPair(Base):
    """Two texts for one brief. `briefs` holds the brief until its retention: a pair without one is shown no more."""

    __tablename__ = "comparison_pairs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    comparison_id: Mapped[int] = mapped_column(ForeignKey("comparisons.id", ondelete="CASCADE"), index=True)
    brief_digest: Mapped[bytes]
    platform: Mapped[str]
    locale: Mapped[str]
    first: Mapped[dict[str, Any]]  # adtext.brief.AdText of the policy, or the better one of a planted pair
    second: Mapped[dict[str, Any]]  # the baseline's text
    expected: Mapped[str | None]  # the known answer of a planted pair: first | same


class ComparisonVerdict(Base):
    """What one annotator said of one pair."""

    __tablename__ = "comparison_verdicts"

    pair_id: Mapped[UUID] = mapped_column(ForeignKey("comparison_pairs.id", ondelete="CASCADE"), primary_key=True)
    key_id: Mapped[int] = mapped_column(primary_key=True)
    annotator: Mapped[str]
    verdict: Mapped[str]  # first | same | second
    judged_at: Mapped[datetime] = mapped_column(server_default=func.now())
