"""Alembic's environment: a plain synchronous connection, the models' metadata, one advisory lock so that two starts do
not race.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, text

from app.store.models import Base

MIGRATION_LOCK = 7_352_810_441

config = context.config


def run() -> None:
    engine = create_engine(config.attributes["url"])
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
