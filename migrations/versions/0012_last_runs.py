"""When an export, a backup and retention last succeeded, as a job or as a command

Downgrade: the times are lost; the metrics count jobs only until the next run.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "last_runs",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("task", name=op.f("pk_last_runs")),
    )


def downgrade() -> None:
    op.drop_table("last_runs")
