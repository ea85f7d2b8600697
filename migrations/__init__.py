"""Alembic's migrations. They ship with the package: `relate migrate` applies them."""
