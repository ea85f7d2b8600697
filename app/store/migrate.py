"""Migrates the database to the schema of this release, and writes the first rows of an installation."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from adtext.rules import load_rules
from app.core.problems import Problem
from app.core.settings import Settings
from app.store.seed import seed


def alembic_config(settings: Settings, scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["url"] = settings.sqlalchemy_url
    return config


def migrate(settings: Settings, revision: str = "head") -> None:
    """Apply the packaged migrations up to `revision`, then seed. Safe to repeat, and from several processes at once."""
    with as_file(files("migrations")) as scripts:
        command.upgrade(alembic_config(settings, scripts), revision)
    if revision == "head":
        seed(settings, load_rules(settings.packs_dir))


def take_back(settings: Settings) -> str:
    """Undo the newest migration and keep the data, for a downgrade by one release; returns the remaining revision."""
    with as_file(files("migrations")) as scripts:
        config = alembic_config(settings, scripts)
        newest = _revision(settings)
        before = ScriptDirectory.from_config(config).get_revision(newest).down_revision if newest else None
        if not isinstance(before, str):
            raise Problem(409, "first_revision", "only the first migration is applied: it cannot be taken back")
        command.downgrade(config, before)
    return before


def _revision(settings: Settings) -> str | None:
    engine = create_engine(settings.sqlalchemy_url)
    with engine.connect() as connection:
        found: str | None = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return found
