"""Rules that operations switched, and advertisers' own rules with their history."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class RuleSwitch(Base):
    """A rule that does not block as its pack says. Without a row a rule is as its pack says."""

    __tablename__ = "rule_switches"

    rule: Mapped[str] = mapped_column(primary_key=True)  # a name in adtext.rules.RULES
    switch: Mapped[str]  # review | off
    reason: Mapped[str]
    actor: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AdvertiserRulesRow(Base):
    """One version of an advertiser's own rules. Versions are only added; the one in force says so."""

    __tablename__ = "advertiser_rules"
    __table_args__ = (
        Index("ix_advertiser_rules_in_force", "advertiser", unique=True, postgresql_where=text("in_force")),
        Index("ix_advertiser_rules_revision", "revision", postgresql_where=text("in_force")),
    )

    advertiser: Mapped[str] = mapped_column(primary_key=True)  # as brief.ad.advertiser spells it
    version: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str]  # what a pooled text carries behind the packs' version; empty: the rules were deleted
    body: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))  # adtext.advertiser.AdvertiserRules
    note: Mapped[str]
    actor: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int]  # the number of the topic `rules` that brought it: replicas read what is newer than theirs
    in_force: Mapped[bool]
