"""Bring the database to this release's schema, and the rows every installation starts with."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from alembic import command
from alembic.config import Config

from adtext.rules import load_rules
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
        seed(settings, load_rules(settings.packs_dir).version)
