"""Long SQL statements, kept in .sql files beside this module."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """The text of `<name>.sql`, read once."""
    return files("app.store").joinpath(f"{name}.sql").read_text("utf-8")
