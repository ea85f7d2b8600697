"""Canaries in the database, and the briefs that are written ahead before a ramp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from adtext.brief import AdBrief
from app.store.database import AsyncConnection
from app.store.models.canaries import Canary
from app.store.prefill import NewItem

# a brief that several platforms ask for is written for the one that asked last
_RECENT = text("""
    SELECT body, platform FROM briefs
    CROSS JOIN LATERAL (
        SELECT platform FROM texts WHERE brief_digest = briefs.digest ORDER BY created_at DESC LIMIT 1
    ) asked
    ORDER BY used_at DESC, digest LIMIT :most""")


async def add(connection: AsyncConnection, **values: Any) -> Any | None:
    """The new row; None where its layer has an open canary already."""
    statement = insert(Canary).values(**values).on_conflict_do_nothing().returning(*Canary.__table__.c)
    return (await connection.execute(statement)).one_or_none()


async def change(connection: AsyncConnection, canary_id: int, **values: Any) -> None:
    await connection.execute(update(Canary).where(Canary.id == canary_id).values(**values))


async def open_(connection: AsyncConnection) -> Sequence[Any]:
    """The canaries that have not ended."""
    return (await connection.execute(select(Canary.__table__).where(Canary.ended_at.is_(None)))).all()


async def lock_open(connection: AsyncConnection, canary_id: int) -> Any | None:
    """The canary, locked until this transaction ends; None where it has ended."""
    held = select(Canary.__table__).where(Canary.id == canary_id, Canary.ended_at.is_(None))
    return (await connection.execute(held.with_for_update())).one_or_none()


async def open_of(connection: AsyncConnection, version: str) -> Any | None:
    """The open canary of a policy, locked until this transaction ends."""
    held = select(Canary.__table__).where(Canary.version == version, Canary.ended_at.is_(None))
    return (await connection.execute(held.with_for_update())).one_or_none()


async def open_in(connection: AsyncConnection, layer: str) -> Any | None:
    return (
        await connection.execute(select(Canary.__table__).where(Canary.layer == layer, Canary.ended_at.is_(None)))
    ).one_or_none()


async def latest(connection: AsyncConnection, versions: Sequence[str]) -> dict[str, Any]:
    """The latest canary by version."""
    found = select(Canary.__table__).ext(distinct_on(Canary.version)).where(Canary.version.in_(versions))
    return {row.version: row for row in await connection.execute(found.order_by(Canary.version, Canary.id.desc()))}


async def of_experiments(connection: AsyncConnection, names: Sequence[str]) -> dict[str, Any]:
    """The canary by its experiment's name."""
    found = select(Canary.__table__).where(Canary.experiment.in_(names))
    return {row.experiment: row for row in await connection.execute(found)}


async def recent_briefs(connection: AsyncConnection, version: str, locales: Sequence[str], most: int) -> list[NewItem]:
    """What a policy writes ahead: the briefs in its locales that were used last."""
    rows = (await connection.execute(_RECENT, {"most": most})).all()
    briefs = [(AdBrief.model_validate(row.body), row.platform) for row in rows]
    return [NewItem(platform, version, brief) for brief, platform in briefs if brief.locale in locales]
