"""`relate export`: writes a snapshot of the logged impressions, for training."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trainer.snapshot import Manifest

Moment = Annotated[str | None, typer.Option(help="RFC 3339 with offset.")]


def export(
    out: Annotated[Path, typer.Option(help="The folder to create.")],
    since: Moment = None,
    until: Moment = None,
    as_of: Annotated[
        str | None, typer.Option(help="RFC 3339 with offset: the time of which maturity is decided. Default: now.")
    ] = None,
) -> None:
    """Write mature impressions with their clicks and conversions as Parquet files with a manifest, for `relate train
    reward`.
    """
    import asyncio

    from app.cli.errors import Refusal
    from app.core.settings import Settings
    from app.services.events.export import export as write
    from app.store.database import Database
    from app.up.database import reachable
    from trainer.snapshot import SnapshotError

    times = {name: _moment(name, spelt) for name, spelt in (("since", since), ("until", until), ("as_of", as_of))}

    async def run(settings: Settings) -> Manifest:
        database = Database(settings)
        try:
            return await write(database, settings, out, **times)
        finally:
            await database.close()

    try:
        with reachable(Settings()) as settings:
            manifest = asyncio.run(run(settings))
    except SnapshotError as error:
        raise Refusal(str(error)) from error
    left_out = "".join(f"; {count:,} left out: {reason}" for reason, count in manifest.left_out.items())
    print(f"{out}: {manifest.rows:,} impressions of {manifest.texts:,} texts{left_out}")


def _moment(name: str, spelt: str | None) -> datetime | None:
    from app.cli.errors import Refusal

    if spelt is None:
        return None
    try:
        moment = datetime.fromisoformat(spelt)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Refusal(
            f"--{name.replace('_', '-')} {spelt!r} is not an RFC 3339 time with its offset, such as "
            "2026-11-22T10:00:00+09:00"
        )
    return moment
