"""Find the units that were seen in two arms without a scan of all units"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_unit_days_two_arms", "unit_days", ["phase_id"], postgresql_where=sa.text("two_arms"))


def downgrade() -> None:
    op.drop_index("ix_unit_days_two_arms", table_name="unit_days")
