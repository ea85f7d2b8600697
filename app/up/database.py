"""The database of commands that work without a running service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from app.core.settings import Settings
from app.up.child import UpError
from app.up.lock import holding
from app.up.postgres import embedded_postgres, running_url

_START_S = 120.0


@contextmanager
def reachable(settings: Settings) -> Iterator[Settings]:
    """Settings with a database that answers: that of DATABASE_URL, that of the service running in data_dir, or one
    started for this block.
    """
    if settings.database_url:
        yield settings
    elif url := running_url(settings.data_dir):
        yield settings.replaced(database_url=url)
    elif not (settings.data_dir / "pg").exists():
        raise UpError(
            f"there is no database: set DATABASE_URL, or run `relate up` once over {settings.data_dir.resolve()}"
        )
    else:
        data_dir = settings.data_dir.resolve()
        with holding(data_dir):
            child, url = embedded_postgres(data_dir, os.environ)
            child.start()
            try:
                child.wait_ready(_START_S)
                yield settings.replaced(database_url=url)
            finally:
                child.stop()
