"""Canaries, and how many texts of a policy the judge looked at and passed

Downgrade: the canaries are lost; their experiments stay.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("judged", "passed"):
        op.add_column("candidate_counts", sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "canaries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("champion", sa.Text(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("rules", JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("share", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=True),
        sa.Column("prefill_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["version"], ["policies.version"], name=op.f("fk_canaries_version")),
        sa.ForeignKeyConstraint(["champion"], ["policies.version"], name=op.f("fk_canaries_champion")),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.name"], name=op.f("fk_canaries_experiment")),
        sa.ForeignKeyConstraint(["prefill_id"], ["prefills.id"], name=op.f("fk_canaries_prefill_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_canaries_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_canaries")),
    )
    op.create_index(op.f("ix_canaries_version"), "canaries", ["version"])
    op.create_index(
        "uq_canaries_open", "canaries", ["layer"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
    )


def downgrade() -> None:
    op.drop_table("canaries")
    for name in ("passed", "judged"):
        op.drop_column("candidate_counts", name)
