"""The export: writes the events so far to a snapshot that reward models learn from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from abtest.attribution import LATENESS
from adtext.brief import AdBrief, AdText
from app.core.problems import Problem
from app.core.settings import Settings
from app.services.events.aggregation import Aggregation
from app.store.database import Database
from app.store.export import ExportRange, arm_names, one_moment
from app.store.jobs import note_run
from trainer.snapshot import EXPOSURES, TEXTS, Manifest, SnapshotWriter, describe_ad, describe_text

LIMIT_S = 6 * 3600.0  # a large installation exports its whole history
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


async def export(
    database: Database,
    settings: Settings,
    folder: Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    as_of: datetime | None = None,
) -> Manifest:
    """Fold the waiting events, then write every mature impression of [since, until) with its text, from one snapshot of
    the database.

    as_of: the time of which maturity is decided, by default now. Later events are not written. SnapshotError where the
    folder holds a snapshot already, Problem for invalid times.
    """
    now = datetime.now(UTC)
    at = as_of or now
    if at > now:
        raise Problem(
            422, "time", f"as_of {at.isoformat()} is in the future: nothing can be mature then", field="as_of", value=at
        )
    if since and until and since >= until:
        raise Problem(
            422,
            "time",
            f"since {since.isoformat()} must be before until {until.isoformat()}",
            field="since",
            value=since,
        )
    elsewhere = timedelta(hours=settings.window_hours)
    await Aggregation(settings, database).catch_up()
    wanted = ExportRange(since or _BEGINNING, until or at, at, elsewhere, LATENESS)
    writer = SnapshotWriter(folder)
    async with database.begin(LIMIT_S) as connection:
        await one_moment(connection)
        async for rows in wanted.texts(connection):
            writer.add_texts(pa.Table.from_pylist([_text(row) for row in rows], schema=TEXTS))
        async for rows in wanted.exposures(connection):
            writer.add_rows(_exposures(rows))
        arms, left_out = await arm_names(connection), await wanted.left_out(connection)
    manifest = writer.close(as_of=at, arms=arms, since=since, until=until, left_out=left_out)
    async with database.begin() as connection:
        await note_run(connection, "export")
    return manifest


def _text(row: tuple[Any, ...]) -> dict[str, Any]:
    text_id, advertiser, title, description, description_2, industry, locale, created_at, body = row
    return {
        "text_id": text_id,
        "group": advertiser,
        "ad": describe_ad(AdBrief.model_validate(body).ad),
        "text": describe_text(AdText(title=title, description=description, description_2=description_2)),
        "industry": industry,
        "locale": locale,
        "created_at": created_at,
    }


def _exposures(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    return pa.table(
        [pa.array(column, field.type) for field, column in zip(EXPOSURES, zip(*rows, strict=True), strict=True)],
        schema=EXPOSURES,
    )
