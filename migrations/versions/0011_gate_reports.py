"""What a policy was made from, and what the gate decided about it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("parent", "digest", "artifact", "snapshot"):
        op.add_column("policies", sa.Column(name, sa.Text(), nullable=True))
    for name in ("config", "metrics"):
        op.add_column("policies", sa.Column(name, JSONB(), server_default=sa.text("'{}'"), nullable=False))
    op.create_table(
        "gate_reports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("champion", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("report", JSONB(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["policies.version"], name=op.f("fk_gate_reports_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_reports")),
    )
    op.create_index(op.f("ix_gate_reports_version"), "gate_reports", ["version"])


def downgrade() -> None:
    op.drop_table("gate_reports")
    for name in ("metrics", "config", "snapshot", "artifact", "digest", "parent"):
        op.drop_column("policies", name)
