"""Switch rules to review or off; keep advertisers' own rules with their history"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "rule_switches",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("switch", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("rule", name=op.f("pk_rule_switches")),
    )
    op.create_table(
        "advertiser_rules",
        sa.Column("advertiser", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("advertiser", "version", name=op.f("pk_advertiser_rules")),
    )
    in_force = sa.text("in_force")
    op.create_index(
        "ix_advertiser_rules_in_force", "advertiser_rules", ["advertiser"], unique=True, postgresql_where=in_force
    )
    op.create_index("ix_advertiser_rules_revision", "advertiser_rules", ["revision"], postgresql_where=in_force)


def downgrade() -> None:
    """The release before applies every rule as its pack says, and no advertiser's own: it checks every text again."""
    op.drop_table("advertiser_rules")
    op.drop_table("rule_switches")
