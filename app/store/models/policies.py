"""Policies: immutable versions, the aliases that point at them, and how often their raw candidates complied."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Identity, func
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class Policy(Base):
    """One policy version. It is immutable: new weights, prompt or decoding are a new row with a new version."""

    __tablename__ = "policies"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)  # what tokens and logs carry
    version: Mapped[str] = mapped_column(unique=True)  # e.g. relate-20261122-1f3a
    kind: Mapped[str]  # which writer: nlg | vllm
    endpoint: Mapped[str | None]  # base URL of an OpenAI-compatible server; None: the deployment's own
    model: Mapped[str | None]  # the name that server knows the weights or the adapter by
    locales: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    decoding: Mapped[dict[str, Any]]  # template, worked examples, temperature, …: trainer.registry.Decoding
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PolicyAlias(Base):
    """champion, challenger and previous: one row each, changed in one transaction."""

    __tablename__ = "policy_aliases"

    alias: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(ForeignKey("policies.version"))
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CandidateCount(Base):
    """Raw candidates before any filter, by policy, rules version and day: Compliance Rate = compliant / candidates (eq.
    11).
    """

    __tablename__ = "candidate_counts"

    policy_id: Mapped[int] = mapped_column(ForeignKey("policies.id"), primary_key=True)
    rules_version: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    candidates: Mapped[int]
    compliant: Mapped[int]
