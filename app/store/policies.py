"""Policy versions and their aliases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy import insert as insert_into
from sqlalchemy.dialects.postgresql import distinct_on, insert

from app.store.database import AsyncConnection
from app.store.models.policies import GateReport, Policy, PolicyAlias


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


async def find_policy(connection: AsyncConnection, version: str) -> Any:
    """Its row; None where there is none."""
    return (await connection.execute(select(Policy).where(Policy.version == version))).one_or_none()


async def of_weights(connection: AsyncConnection, digest: str) -> Sequence[Any]:
    """The versions with these weights, newest first."""
    return (await connection.execute(select(Policy).where(Policy.digest == digest).order_by(Policy.id.desc()))).all()


async def of_artifact(connection: AsyncConnection, artifact: str) -> Any | None:
    """The newest version whose weights lie there."""
    statement = select(Policy).where(Policy.artifact == artifact).order_by(Policy.id.desc()).limit(1)
    return (await connection.execute(statement)).one_or_none()


async def add_gate_report(connection: AsyncConnection, **values: Any) -> Any:
    """The new row."""
    statement = insert_into(GateReport).values(**values).returning(*GateReport.__table__.c)
    return (await connection.execute(statement)).one()


async def find_gate_report(connection: AsyncConnection, report_id: int) -> Any:
    return (await connection.execute(select(GateReport).where(GateReport.id == report_id))).one_or_none()


async def gate_reports(connection: AsyncConnection, version: str) -> Sequence[Any]:
    """Every decision about a policy, latest first."""
    reports = select(GateReport).where(GateReport.version == version).order_by(GateReport.id.desc())
    return (await connection.execute(reports)).all()


async def latest_gates(connection: AsyncConnection, versions: Sequence[str]) -> dict[str, Any]:
    """The latest decision by version, without the report itself."""
    latest = (
        select(*(column for column in GateReport.__table__.c if column.name != "report"))
        .ext(distinct_on(GateReport.version))
        .where(GateReport.version.in_(versions))
        .order_by(GateReport.version, GateReport.id.desc())
    )
    return {row.version: row for row in await connection.execute(latest)}


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


async def unpoint(connection: AsyncConnection, alias: str, version: str) -> None:
    """Remove an alias that points at a version; one that points elsewhere by now stays."""
    await connection.execute(delete(PolicyAlias).where(PolicyAlias.alias == alias, PolicyAlias.version == version))
