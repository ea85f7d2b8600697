"""When a brief was last used, which retention follows; and until when a prefill item is taken"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    now = sa.text("now()")
    op.add_column("briefs", sa.Column("used_at", sa.DateTime(timezone=True), server_default=now, nullable=False))
    op.execute("UPDATE briefs SET used_at = created_at")
    op.execute("""
        UPDATE briefs SET used_at = greatest(created_at, last_served)
        FROM (
            SELECT brief_digest, max(servings.at) AS last_served FROM servings JOIN texts ON texts.id = text_id
            GROUP BY brief_digest
        ) uses
        WHERE digest = brief_digest""")
    op.create_index(op.f("ix_briefs_used_at"), "briefs", ["used_at"])
    op.drop_index(op.f("ix_briefs_created_at"), "briefs")
    op.add_column("prefill_items", sa.Column("due_at", sa.DateTime(timezone=True), server_default=now, nullable=False))


def downgrade() -> None:
    op.drop_column("prefill_items", "due_at")
    op.create_index(op.f("ix_briefs_created_at"), "briefs", ["created_at"])
    op.drop_index(op.f("ix_briefs_used_at"), "briefs")
    op.drop_column("briefs", "used_at")
