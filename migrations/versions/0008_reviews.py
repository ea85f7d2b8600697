"""Why a text waits for a person, who has it open, and what was decided

Upgrade: of the texts that wait, those with a finding of severity review wait for it, the others are regulated.
Downgrade: the decisions are lost; what they decided stays.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")
_EMPTY = sa.text("'[]'")


def upgrade() -> None:
    op.add_column("texts", sa.Column("held_for", JSONB(), server_default=_EMPTY, nullable=False))
    op.add_column("texts", sa.Column("products", JSONB(), server_default=_EMPTY, nullable=False))
    op.add_column("texts", sa.Column("edited_from", sa.Uuid(), nullable=True))
    op.get_bind().exec_driver_sql("""
        UPDATE texts SET held_for = CASE
            WHEN findings @> '[{"severity": "review"}]' THEN '["finding"]'::jsonb ELSE '["regulated"]'::jsonb END
        WHERE state = 'review'""")
    op.create_index("ix_texts_review", "texts", ["created_at"], postgresql_where=sa.text("state = 'review'"))
    op.create_index("ix_texts_advertiser", "texts", ["advertiser", "created_at"])
    op.create_index("ix_texts_created_at", "texts", ["created_at"], postgresql_using="brin")
    _locks()
    _decisions()


def downgrade() -> None:
    op.drop_table("review_decisions")
    op.drop_table("review_locks")
    op.drop_index("ix_texts_created_at", "texts")
    op.drop_index("ix_texts_advertiser", "texts")
    op.drop_index("ix_texts_review", "texts")
    for column in ("edited_from", "products", "held_for"):
        op.drop_column("texts", column)


def _locks() -> None:
    op.create_table(
        "review_locks",
        sa.Column("text_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("text_id", name=op.f("pk_review_locks")),
        sa.ForeignKeyConstraint(
            ["text_id"], ["texts.id"], name=op.f("fk_review_locks_text_id_texts"), ondelete="CASCADE"
        ),
    )


def _decisions() -> None:
    op.create_table(
        "review_decisions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("text_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state_before", sa.Text(), nullable=False),
        sa.Column("state_after", sa.Text(), nullable=False),
        sa.Column("reviewer_before", sa.Text(), nullable=True),
        sa.Column("second_of", sa.BigInteger(), nullable=True),
        sa.Column("wants_second", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("overturned", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("edited_id", sa.Uuid(), nullable=True),
        sa.Column("brief_digest", sa.LargeBinary(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("description_2", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("held_for", JSONB(), nullable=False),
        sa.Column("findings", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_decisions")),
    )
    op.create_index("ix_review_decisions_text", "review_decisions", ["text_id"])
    op.create_index("ix_review_decisions_at", "review_decisions", ["decided_at"])
    op.create_index("ix_review_decisions_key", "review_decisions", ["key_id", "id"])
    op.create_index(
        "ix_review_decisions_second", "review_decisions", ["decided_at"], postgresql_where=sa.text("wants_second")
    )
