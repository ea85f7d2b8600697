"""A key may be limited to one advertiser; page sessions end when they are signed out"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("advertiser", sa.Text(), nullable=True))
    op.create_table(
        "ended_sessions",
        sa.Column("session", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_ended_sessions")),
    )


def downgrade() -> None:
    """The previous release does not know keys of one advertiser and would open everything to them: they are revoked.
    It cannot read this release's cookies, so every visitor signs in again.
    """
    op.execute("UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE advertiser IS NOT NULL")
    op.drop_table("ended_sessions")
    op.drop_column("api_keys", "advertiser")
