"""The first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.arm_day_triggers import keep_arm_days

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_access()
    create_policies()
    create_experiments()
    create_texts()
    create_prefills()
    create_servings()
    create_events()
    create_unit_days()
    create_arm_days()
    keep_arm_days()


def downgrade() -> None:
    raise NotImplementedError("the first migration cannot be taken back: drop the database instead")


def create_access() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("rate_per_second", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_subject"), "audit_log", ["subject"], unique=False)
    op.create_table(
        "revisions",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_revisions")),
    )


def create_policies() -> None:
    op.create_table(
        "policies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("locales", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("decoding", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
        sa.UniqueConstraint("version", name=op.f("uq_policies_version")),
    )
    op.create_table(
        "policy_aliases",
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["policies.version"], name=op.f("fk_policy_aliases_version")),
        sa.PrimaryKeyConstraint("alias", name=op.f("pk_policy_aliases")),
    )


def create_experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("low", sa.BigInteger(), nullable=False),
        sa.Column("high", sa.BigInteger(), nullable=False),
        sa.Column("window_hours", sa.BigInteger(), nullable=False),
        sa.Column("planned_units", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("0 <= low AND low <= high AND high <= 10000", name=op.f("ck_experiments_range")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("name", name=op.f("uq_experiments_name")),
    )
    op.create_index(op.f("ix_experiments_layer"), "experiments", ["layer"], unique=False)
    op.create_table(
        "phases",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("arms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], name=op.f("fk_phases_experiment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phases")),
        sa.UniqueConstraint("experiment_id", "number", name=op.f("uq_phases_experiment_id_number")),
    )
    op.create_table(
        "assigned_units",
        sa.Column("phase_id", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("phase_id", "unit", name=op.f("pk_assigned_units")),
    )


def create_texts() -> None:
    op.create_table(
        "briefs",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_briefs")),
    )
    op.create_index(op.f("ix_briefs_created_at"), "briefs", ["created_at"], unique=False)
    op.create_table(
        "texts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pool_key", sa.LargeBinary(), nullable=False),
        sa.Column("policy_id", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("description_2", sa.Text(), nullable=True),
        sa.Column("brief_digest", sa.LargeBinary(), nullable=False),
        sa.Column("advertiser", sa.Text(), nullable=False),
        sa.Column("ad_id", sa.Text(), nullable=False),
        sa.Column("industry", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("spec_version", sa.Text(), nullable=False),
        sa.Column("rules_version", sa.Text(), nullable=False),
        sa.Column("prompt_hash", sa.Text(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("reviewed_by", sa.Text(), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name=op.f("fk_texts_policy_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_texts")),
    )
    op.create_index(op.f("ix_texts_brief_digest"), "texts", ["brief_digest"], unique=False)
    op.create_index("ix_texts_pool", "texts", ["pool_key"], unique=False)
    op.create_table(
        "candidate_counts",
        sa.Column("policy_id", sa.BigInteger(), nullable=False),
        sa.Column("rules_version", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("candidates", sa.BigInteger(), nullable=False),
        sa.Column("compliant", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name=op.f("fk_candidate_counts_policy_id")),
        sa.PrimaryKeyConstraint("policy_id", "rules_version", "day", name=op.f("pk_candidate_counts")),
    )


def create_prefills() -> None:
    op.create_table(
        "prefills",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prefills")),
    )
    op.create_table(
        "prefill_items",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("prefill_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("brief", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("texts", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["prefill_id"], ["prefills.id"], name=op.f("fk_prefill_items_prefill_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prefill_items")),
    )
    op.create_index(
        "ix_prefill_items_open", "prefill_items", ["id"], unique=False, postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index(op.f("ix_prefill_items_prefill_id"), "prefill_items", ["prefill_id"], unique=False)


def create_servings() -> None:
    op.create_table(
        "servings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("phase_id", sa.BigInteger(), nullable=True),
        sa.Column("arm", sa.SmallInteger(), nullable=True),
        sa.Column("text_id", sa.Uuid(), nullable=True),
        sa.Column("policy_id", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.SmallInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_servings")),
    )
    op.create_index("ix_servings_at", "servings", ["at"], unique=False, postgresql_using="brin")
    op.create_index("ix_servings_unit", "servings", ["unit"], unique=False)
    op.create_table(
        "request_days",
        sa.Column("phase_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.SmallInteger(), nullable=False),
        sa.Column("latency", sa.SmallInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("phase_id", "day", "arm", "source", "latency", name=op.f("pk_request_days")),
    )


def create_events() -> None:
    op.create_table(
        "events",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("serve_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("phase_id", sa.BigInteger(), nullable=True),
        sa.Column("arm", sa.SmallInteger(), nullable=True),
        sa.Column("text_id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.SmallInteger(), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("invalid_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_occurred_at", "events", ["occurred_at"], unique=False, postgresql_using="brin")
    op.create_index("ix_events_serve_id", "events", ["serve_id"], unique=False)
    op.create_table("stale_tokens", sa.Column("serve_id", sa.Uuid(), nullable=False))
    op.create_table(
        "exposures",
        sa.Column("serve_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("phase_id", sa.BigInteger(), nullable=True),
        sa.Column("arm", sa.SmallInteger(), nullable=True),
        sa.Column("text_id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.SmallInteger(), nullable=False),
        sa.Column("impression_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("click_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("conversion_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("clicked", sa.Boolean(), nullable=False),
        sa.Column("converted", sa.Boolean(), nullable=False),
        sa.Column("invalid", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("serve_id", name=op.f("pk_exposures")),
    )
    op.create_index("ix_exposures_phase_impression", "exposures", ["phase_id", "impression_at"], unique=False)
    op.create_index("ix_exposures_text", "exposures", ["text_id"], unique=False)
    op.create_index("ix_exposures_unit", "exposures", ["unit"], unique=False)


def create_unit_days() -> None:
    op.create_table(
        "unit_days",
        sa.Column("phase_id", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("two_arms", sa.Boolean(), nullable=False),
        sa.Column("impressions", sa.Integer(), nullable=False),
        sa.Column("clicks", sa.Integer(), nullable=False),
        sa.Column("conversions", sa.Integer(), nullable=False),
        sa.Column("impressions_before", sa.Integer(), nullable=False),
        sa.Column("clicks_before", sa.Integer(), nullable=False),
        sa.Column("conversions_before", sa.Integer(), nullable=False),
        sa.Column("valid_impressions", sa.Integer(), nullable=False),
        sa.Column("valid_clicks", sa.Integer(), nullable=False),
        sa.Column("valid_conversions", sa.Integer(), nullable=False),
        sa.Column("valid_impressions_before", sa.Integer(), nullable=False),
        sa.Column("valid_clicks_before", sa.Integer(), nullable=False),
        sa.Column("valid_conversions_before", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("phase_id", "unit", "day", "arm", name=op.f("pk_unit_days")),
    )


def create_arm_days() -> None:
    op.create_table(
        "arm_days",
        sa.Column("phase_id", sa.BigInteger(), nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("units_in_two_arms", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("impressions", sa.BigInteger(), nullable=False),
        sa.Column("clicks", sa.BigInteger(), nullable=False),
        sa.Column("conversions", sa.BigInteger(), nullable=False),
        sa.Column("sum_ii", sa.BigInteger(), nullable=False),
        sa.Column("sum_cc", sa.BigInteger(), nullable=False),
        sa.Column("sum_vv", sa.BigInteger(), nullable=False),
        sa.Column("sum_ic", sa.BigInteger(), nullable=False),
        sa.Column("sum_iv", sa.BigInteger(), nullable=False),
        sa.Column("sum_cv", sa.BigInteger(), nullable=False),
        sa.Column("valid_n", sa.BigInteger(), nullable=False),
        sa.Column("valid_impressions", sa.BigInteger(), nullable=False),
        sa.Column("valid_clicks", sa.BigInteger(), nullable=False),
        sa.Column("valid_conversions", sa.BigInteger(), nullable=False),
        sa.Column("valid_sum_ii", sa.BigInteger(), nullable=False),
        sa.Column("valid_sum_cc", sa.BigInteger(), nullable=False),
        sa.Column("valid_sum_vv", sa.BigInteger(), nullable=False),
        sa.Column("valid_sum_ic", sa.BigInteger(), nullable=False),
        sa.Column("valid_sum_iv", sa.BigInteger(), nullable=False),
        sa.Column("valid_sum_cv", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("phase_id", "arm", "first_day", "day", name=op.f("pk_arm_days")),
    )
