"""The job that ran a gate, with its report; the jobs that made a policy are found by what they made"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gate_reports", sa.Column("job_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_gate_reports_job_id"), "gate_reports", "jobs", ["job_id"], ["id"])
    op.create_index(op.f("ix_policies_digest"), "policies", ["digest"])


def downgrade() -> None:
    op.drop_index(op.f("ix_policies_digest"), "policies")
    op.drop_column("gate_reports", "job_id")
