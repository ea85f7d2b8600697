"""Background work: jobs, the steps of chains, and when each schedule last came due."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import Base


class Job(Base):
    """One job. A chain is a job too: its steps name it as their parent and run one after the other.

    The queue holds a second record of a job while it waits or runs (`queue_id`). This row decides: what the queue
    hands out runs only if the row says `queued`.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_parent", "parent_id", "position"),
        Index("ix_jobs_unfinished", "state", postgresql_where=text("state IN ('queued', 'running')")),
        UniqueConstraint("number"),
        UniqueConstraint("identity"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Identity(always=True))  # the order in which jobs were made
    kind: Mapped[str]
    state: Mapped[str]  # waiting (for an earlier step) | queued | running | succeeded | rejected | failed | cancelled
    reason: Mapped[str]  # manual | schedule | conversions | guardrail
    actor: Mapped[str]  # the key's name and prefix, or the schedule
    parameters: Mapped[dict[str, Any]]
    # digest of kind, parameters and the content of inputs; None where the same request may be made again
    identity: Mapped[str | None]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))
    position: Mapped[int | None]  # position of a step in its chain, from 0
    queue_id: Mapped[int | None]  # the queue's own id of this job
    attempt: Mapped[int] = mapped_column(server_default=text("0"))  # how often it was started
    lost: Mapped[int] = mapped_column(server_default=text("0"))  # how often its worker died since it was last asked for
    worker: Mapped[str | None]  # host and process id
    done: Mapped[int | None]  # steps of training taken, of `total`
    total: Mapped[int | None]
    last_line: Mapped[str | None]  # the last line of the job's log
    inputs: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))  # [{"name", "path", "digest"}]
    outputs: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    error: Mapped[str | None]  # one line
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    queued_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class JobSchedule(Base):
    """The latest time at which a schedule came due. Periods that were missed before it are made up for by one job."""

    __tablename__ = "job_schedules"

    name: Mapped[str] = mapped_column(primary_key=True)
    cron: Mapped[str]
    due_at: Mapped[datetime]


class LastRun(Base):
    """When a command last succeeded, whether a job or a person called it."""

    __tablename__ = "last_runs"

    task: Mapped[str] = mapped_column(primary_key=True)  # export | backup | retention
    succeeded_at: Mapped[datetime] = mapped_column(server_default=func.now())
