"""Policies: immutable versions, the aliases that point at them, and how often their raw candidates complied."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Date, ForeignKey, Identity, func, text
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
    parent: Mapped[str | None]  # the version that it was trained from
    digest: Mapped[str | None] = mapped_column(index=True)  # digest of the weights, as `relate evaluate gate` names it
    artifact: Mapped[str | None]  # the folder or address that holds its weights
    snapshot: Mapped[str | None]  # digest of the logs that it learned from
    config: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))  # the training's configuration
    metrics: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))  # value by measure
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class GateReport(Base):
    """One decision of the gate about a policy: trainer.gate_report.GateReport. The latest one counts."""

    __tablename__ = "gate_reports"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    version: Mapped[str] = mapped_column(ForeignKey("policies.version"), index=True)
    champion: Mapped[str]  # what it was compared with, as the report names it
    passed: Mapped[bool]
    report: Mapped[dict[str, Any]]
    actor: Mapped[str]
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))  # that ran the gate; null: it was sent in
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
    judged: Mapped[int] = mapped_column(server_default=text("0"))  # compliant texts that the judge looked at
    passed: Mapped[int] = mapped_column(server_default=text("0"))  # and passed
