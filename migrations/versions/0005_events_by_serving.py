"""Identify events by serving, kind and id; keep corrections, orders, and what does not count

Upgrade: every token is queued for the fold, which judges it by the new rules in the background, some 10,000 tokens a
second. Downgrade: every event is kept. An id that the old primary key cannot hold twice gets its serving and kind
appended. Every token is queued again. The old fold knows no corrections: a conversion that was taken back counts again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PIXEL = "^pixel:(impression|click):[0-9a-f]{32}(:flagged)?$"
_COUNTS = {  # columns of token_days, computed from a row of exposures
    "tokens": "1",
    "impressions": "CAST(impression_at IS NOT NULL AS integer)",
    "conversions": "CAST(conversion_at IS NOT NULL AS integer)",
    "orphans": "CAST(impression_at IS NULL AND coalesce(click_at, conversion_at) IS NOT NULL AS integer)",
    "view_through": "CAST(view_through AS integer)",
    "repeated_orders": "CAST(repeated_order AS integer)",
    "shifted": "CAST(shifted AS integer)",
    "events": "events",
    "reused_ids": "reused_ids",
    "unmatched_corrections": "unmatched_corrections",
}
_DAY = "CAST(coalesce(impression_at, click_at, conversion_at, served_at) AT TIME ZONE 'UTC' AS date)"
_TRIGGERS = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
    "TRUNCATE": "",
}


def upgrade() -> None:
    _identify_by_serving()
    _judge_more_of_a_token()
    _keep_token_days()
    op.execute("INSERT INTO stale_tokens SELECT serve_id FROM exposures")


def downgrade() -> None:
    for event in _TRIGGERS:
        op.execute(f"DROP TRIGGER token_days_{event.lower()} ON exposures")
    op.execute("DROP FUNCTION keep_token_days()")
    op.drop_table("token_days")
    op.drop_index("ix_exposures_order", "exposures")
    for column in (
        "served_at",
        "order_advertiser",
        "order_id",
        "view_through",
        "repeated_order",
        "shifted",
        "events",
        "reused_ids",
        "unmatched_corrections",
    ):
        op.drop_column("exposures", column)
    op.get_bind().exec_driver_sql("""
        UPDATE events SET event_id = 'pixel:' || CASE kind WHEN 0 THEN 'impression' ELSE 'click' END || ':'
            || replace(serve_id::text, '-', '') || CASE event_id WHEN 'pixel/machine' THEN ':flagged' ELSE '' END
        WHERE event_id IN ('pixel/person', 'pixel/machine')""")
    op.execute("""
        UPDATE events SET event_id = events.event_id || ':' || events.serve_id || ':' || events.kind
        FROM (
            SELECT serve_id, kind, event_id,
                   row_number() OVER (PARTITION BY event_id ORDER BY received_at, serve_id, kind) AS number
            FROM events
        ) numbered
        WHERE number > 1 AND (events.serve_id, events.kind, events.event_id)
            = (numbered.serve_id, numbered.kind, numbered.event_id)""")
    op.execute("INSERT INTO stale_tokens SELECT serve_id FROM exposures")
    op.drop_index("ix_events_corrections", "events")
    op.drop_index("ix_events_event_id", "events")
    op.drop_constraint("pk_events", "events", type_="primary")
    for column in ("currency", "corrects", "reused"):
        op.drop_column("events", column)
    op.execute('ALTER TABLE events ALTER event_id TYPE text COLLATE "default"')
    op.create_primary_key("pk_events", "events", ["event_id"])
    op.create_index("ix_events_serve_id", "events", ["serve_id"])


def _identify_by_serving() -> None:
    op.drop_constraint("pk_events", "events", type_="primary")
    op.drop_index("ix_events_serve_id", "events")
    op.get_bind().exec_driver_sql(f"""
        UPDATE events
        SET event_id = CASE WHEN right(events.event_id, 8) = ':flagged' THEN 'pixel/machine' ELSE 'pixel/person' END
        FROM (
            SELECT event_id, row_number() OVER (PARTITION BY serve_id, kind, right(event_id, 8) = ':flagged') AS number
            FROM events WHERE event_id ~ '{_PIXEL}'
        ) pixels
        WHERE events.event_id = pixels.event_id AND number = 1""")
    op.add_column("events", sa.Column("currency", sa.Text(), nullable=True))
    op.add_column("events", sa.Column("corrects", sa.Text(collation="C"), nullable=True))
    op.add_column("events", sa.Column("reused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute('ALTER TABLE events ALTER event_id TYPE text COLLATE "C"')
    op.create_primary_key("pk_events", "events", ["serve_id", "kind", "event_id"])
    op.create_index("ix_events_event_id", "events", ["event_id"])
    op.create_index("ix_events_corrections", "events", ["serve_id"], postgresql_where=sa.text("corrects IS NOT NULL"))


def _judge_more_of_a_token() -> None:
    op.add_column("exposures", sa.Column("served_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("exposures", sa.Column("order_advertiser", sa.Text(), nullable=True))
    op.add_column("exposures", sa.Column("order_id", sa.Text(), nullable=True))
    for name in ("view_through", "repeated_order", "shifted"):
        op.add_column("exposures", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
        op.alter_column("exposures", name, server_default=None)
    for name in ("events", "reused_ids", "unmatched_corrections"):
        op.add_column("exposures", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")))
        op.alter_column("exposures", name, server_default=None)
    op.create_index(
        "ix_exposures_order",
        "exposures",
        ["order_id", "order_advertiser"],
        postgresql_where=sa.text("order_id IS NOT NULL"),
    )


def _keep_token_days() -> None:
    """token_days is the sum of exposures, kept by triggers."""
    op.create_table(
        "token_days",
        sa.Column("phase_id", sa.BigInteger(), nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint("phase_id", "arm", "day", name=op.f("pk_token_days")),
    )
    kept = ", ".join(f"{name} = token_days.{name} + excluded.{name}" for name in _COUNTS)

    def change(rows: str, sign: str) -> str:
        sums = ", ".join(f"{sign}sum({term})" for term in _COUNTS.values())
        return f"""
            INSERT INTO token_days (phase_id, arm, day, {", ".join(_COUNTS)})
            SELECT phase_id, arm, {_DAY} AS day, {sums} FROM {rows}
            WHERE phase_id IS NOT NULL AND {_DAY} IS NOT NULL
            GROUP BY phase_id, arm, day ORDER BY phase_id, arm, day
            ON CONFLICT (phase_id, arm, day) DO UPDATE SET {kept};"""

    op.execute(change("exposures", "+"))
    op.execute(f"""
        CREATE FUNCTION keep_token_days() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_OP = 'TRUNCATE' THEN TRUNCATE token_days; END IF;
            IF TG_OP IN ('UPDATE', 'DELETE') THEN {change("old_rows", "-")} END IF;
            IF TG_OP IN ('INSERT', 'UPDATE') THEN {change("new_rows", "+")} END IF;
            RETURN NULL;
        END $$""")
    for event, tables in _TRIGGERS.items():
        op.execute(
            f"CREATE TRIGGER token_days_{event.lower()} AFTER {event} ON exposures {tables} "
            "FOR EACH STATEMENT EXECUTE FUNCTION keep_token_days()"
        )
