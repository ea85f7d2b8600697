"""Jobs, their schedules, and the queue that they wait in: procrastinate's own tables, as its release 3.10 makes them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_QUEUE_TABLES = ("periodic_defers", "events", "jobs", "workers")
_QUEUE_TYPES = ("job_to_defer_v1", "job_event_type", "job_status")
_DROP_FUNCTIONS = """
    DO $$
    DECLARE found regprocedure;
    BEGIN
        FOR found IN SELECT oid FROM pg_proc WHERE starts_with(proname, 'procrastinate_') LOOP
            EXECUTE format('DROP FUNCTION %s CASCADE', found);
        END LOOP;
    END $$"""


def upgrade() -> None:
    # several statements with percent signs in them: past SQLAlchemy, to the driver
    op.get_bind().connection.driver_connection.execute(SchemaManager.get_schema())
    time, empty, zero = sa.DateTime(timezone=True), sa.text("'[]'"), sa.text("0")
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "state", "reason", "actor")),
        sa.Column("parameters", JSONB(), nullable=False),
        sa.Column("identity", sa.Text()),
        sa.Column("parent_id", sa.Uuid()),
        sa.Column("position", sa.BigInteger()),
        sa.Column("queue_id", sa.BigInteger()),
        sa.Column("attempt", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("lost", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("worker", sa.Text()),
        sa.Column("done", sa.BigInteger()),
        sa.Column("total", sa.BigInteger()),
        sa.Column("last_line", sa.Text()),
        sa.Column("inputs", JSONB(), server_default=empty, nullable=False),
        sa.Column("outputs", JSONB(), server_default=empty, nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", time, server_default=sa.func.now(), nullable=False),
        *(
            sa.Column(name, time)
            for name in ("queued_at", "started_at", "heartbeat_at", "cancel_requested_at", "ended_at")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.ForeignKeyConstraint(["parent_id"], ["jobs.id"], name=op.f("fk_jobs_parent_id_jobs")),
        sa.UniqueConstraint("number", name=op.f("uq_jobs_number")),
        sa.UniqueConstraint("identity", name=op.f("uq_jobs_identity")),
    )
    op.create_index("ix_jobs_parent", "jobs", ["parent_id", "position"])
    unfinished = sa.text("state IN ('queued', 'running')")
    op.create_index("ix_jobs_unfinished", "jobs", ["state"], postgresql_where=unfinished)
    op.create_table(
        "job_schedules",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("due_at", time, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_schedules")),
    )


def downgrade() -> None:
    op.drop_table("job_schedules")
    op.drop_table("jobs")
    op.execute("".join(f"DROP TABLE procrastinate_{name} CASCADE;" for name in _QUEUE_TABLES))
    op.execute(_DROP_FUNCTIONS)
    op.execute("".join(f"DROP TYPE procrastinate_{name} CASCADE;" for name in _QUEUE_TYPES))
