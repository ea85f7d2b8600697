"""`relate migrate`, `relate upgrade` and `relate retention`: maintenance of the database."""

from __future__ import annotations

from typing import Annotated

import typer


def migrate(
    back: Annotated[
        bool,
        typer.Option("--back", help="Undo the newest migration and keep the data, before a downgrade by one release."),
    ] = False,
) -> None:
    """Migrate the database to the schema of this release. Safe to repeat. `relate up` runs it automatically."""
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
    """Upgrade the files of the embedded PostgreSQL to the major version of this release. The old files are kept as
    pg.old.
    """
    from app.core.settings import Settings
    from app.up.lock import holding
    from app.up.upgrade import upgrade as convert

    data_dir = Settings().data_dir.resolve()
    with holding(data_dir):
        print(convert(data_dir))


def retention() -> None:
    """Delete rows past RELATE_RETENTION_SERVINGS_DAYS and RELATE_RETENTION_EVENTS_DAYS, in batches. Run it daily."""
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
