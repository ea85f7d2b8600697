"""What the judge said of a text

Downgrade: the judgements are lost; the states of the texts stay.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("texts", sa.Column("judge", sa.Text(), nullable=True))
    op.add_column("texts", sa.Column("judgement", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("texts", "judgement")
    op.drop_column("texts", "judge")
