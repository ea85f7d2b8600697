"""`relate migrate`, `relate upgrade`, `relate retention`: care for the database."""

from __future__ import annotations

from typing import Annotated

import typer


def migrate(
    back: Annotated[
        bool,
        typer.Option("--back", help="Undo the newest migration and keep the data: before going back one release."),
    ] = False,
) -> None:
    """Bring the database to this release's schema. Safe to repeat; `relate up` does it by itself."""
    from app.core.settings import Settings
    from app.store.migrate import migrate as apply
    from app.store.migrate import take_back
    from app.up.database import reachable

    with reachable(Settings()) as settings:
        if back:
            print(f"the schema is at revision {take_back(settings)}: start the release that wrote it")
            return
        apply(settings)
    print("the schema is that of this release")


def upgrade() -> None:
    """Bring the embedded PostgreSQL's files to the major version this release ships. The old files stay beside them as
    pg.old.
    """
    from app.core.settings import Settings
    from app.up.lock import holding
    from app.up.upgrade import upgrade as convert

    data_dir = Settings().data_dir.resolve()
    with holding(data_dir):
        print(convert(data_dir))


def retention() -> None:
    """Delete what is older than RELATE_RETENTION_SERVINGS_DAYS and RELATE_RETENTION_EVENTS_DAYS, in batches. Run it
    daily.
    """
    import asyncio

    from app.core.settings import Settings
    from app.services.admin.privacy import retain
    from app.store.database import Database
    from app.up.database import reachable

    async def delete(database: Database, settings: Settings) -> dict[str, int]:
        counts = await retain(settings, database)
        await database.close()
        return counts

    with reachable(Settings()) as settings:
        counts = asyncio.run(delete(Database(settings), settings))
    print(
        ", ".join(f"{name}: {number}" for name, number in counts.items() if number) or "nothing is old enough to delete"
    )
