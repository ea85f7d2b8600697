"""Policy versions and their aliases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from app.store.database import AsyncConnection
from app.store.models.policies import Policy, PolicyAlias


async def add_policy(connection: AsyncConnection, **values: Any) -> Any:
    """The new row; None where that version exists already."""
    statement = (
        insert(Policy)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["version"])
        .returning(*Policy.__table__.c)
    )
    return (await connection.execute(statement)).one_or_none()


async def list_policies(connection: AsyncConnection, before: int, limit: int) -> Sequence[Any]:
    """Newest first."""
    return (
        await connection.execute(select(Policy).where(Policy.id < before).order_by(Policy.id.desc()).limit(limit))
    ).all()


async def policy_exists(connection: AsyncConnection, version: str) -> bool:
    return await connection.scalar(select(Policy.id).where(Policy.version == version)) is not None


async def aliases(connection: AsyncConnection) -> dict[str, str]:
    return {row.alias: row.version for row in await connection.execute(select(PolicyAlias))}


async def aliased(connection: AsyncConnection, alias: str) -> Any | None:
    """The version that an alias points to."""
    statement = select(Policy.__table__).join(PolicyAlias, PolicyAlias.version == Policy.version)
    return (await connection.execute(statement.where(PolicyAlias.alias == alias))).one_or_none()


async def lock_aliases(connection: AsyncConnection) -> dict[str, str]:
    """The aliases, locked until this transaction ends."""
    return {
        row.alias: row.version
        for row in await connection.execute(select(PolicyAlias).order_by(PolicyAlias.alias).with_for_update())
    }


async def point(connection: AsyncConnection, alias: str, version: str) -> None:
    statement = insert(PolicyAlias).values(alias=alias, version=version)
    moved = {"version": statement.excluded.version, "changed_at": func.now()}
    await connection.execute(statement.on_conflict_do_update(index_elements=["alias"], set_=moved))
