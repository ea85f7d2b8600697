"""Blind comparisons of two policies by annotators"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "comparisons",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("baseline", sa.Text(), nullable=False),
        sa.Column("seed", sa.LargeBinary(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["policy"], ["policies.version"], name=op.f("fk_comparisons_policy")),
        sa.ForeignKeyConstraint(["baseline"], ["policies.version"], name=op.f("fk_comparisons_baseline")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparisons")),
    )
    op.create_table(
        "comparison_pairs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("comparison_id", sa.BigInteger(), nullable=False),
        sa.Column("brief_digest", sa.LargeBinary(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("first", JSONB(), nullable=False),
        sa.Column("second", JSONB(), nullable=False),
        sa.Column("expected", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["comparison_id"], ["comparisons.id"], name=op.f("fk_comparison_pairs_comparison_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparison_pairs")),
    )
    op.create_index(op.f("ix_comparison_pairs_comparison_id"), "comparison_pairs", ["comparison_id"])
    op.create_table(
        "comparison_verdicts",
        sa.Column("pair_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.Column("annotator", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["pair_id"], ["comparison_pairs.id"], name=op.f("fk_comparison_verdicts_pair_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pair_id", "key_id", name=op.f("pk_comparison_verdicts")),
    )


def downgrade() -> None:
    for name in ("comparison_verdicts", "comparison_pairs", "comparisons"):
        op.drop_table(name)
