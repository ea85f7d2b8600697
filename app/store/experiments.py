"""Experiments, their phases and their audit log in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.store.database import AsyncConnection
from app.store.models.experiments import AuditEntry, Experiment, Phase
from app.store.models.policies import Policy, PolicyAlias

_EXPERIMENT = (
    Experiment.id,
    Experiment.name,
    Experiment.layer,
    Experiment.state,
    Experiment.low,
    Experiment.high,
    Experiment.window_hours,
    Experiment.planned_units,
    Experiment.created_at,
    Experiment.started_at,
    Experiment.stopped_at,
)
_PHASE = (Phase.id, Phase.experiment_id, Phase.number, Phase.salt, Phase.arms, Phase.started_at, Phase.ended_at)


async def add_experiment(connection: AsyncConnection, **values: Any) -> int | None:
    """The id of the new experiment; None where the name is taken."""
    return await connection.scalar(
        insert(Experiment).values(**values).on_conflict_do_nothing().returning(Experiment.id)
    )


async def add_phase(connection: AsyncConnection, **values: Any) -> None:
    await connection.execute(insert(Phase).values(**values))


async def set_experiment(connection: AsyncConnection, experiment_id: int, **values: Any) -> None:
    await connection.execute(update(Experiment).where(Experiment.id == experiment_id).values(**values))


async def set_phase(connection: AsyncConnection, phase_id: int, **values: Any) -> None:
    await connection.execute(update(Phase).where(Phase.id == phase_id).values(**values))


async def lock_layer(connection: AsyncConnection, layer: str) -> Sequence[Any]:
    """The experiments of the layer that are not stopped, locked until this transaction ends."""
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"layer:{layer}", 0))))
    held = select(*_EXPERIMENT).where(Experiment.layer == layer, Experiment.state != "stopped").order_by(Experiment.id)
    return (await connection.execute(held.with_for_update())).all()


async def find_experiment(connection: AsyncConnection, name: str) -> Any:
    return (await connection.execute(select(*_EXPERIMENT).where(Experiment.name == name))).one_or_none()


async def list_experiments(connection: AsyncConnection, after: int, limit: int) -> Sequence[Any]:
    """Experiments in order of creation."""
    return (
        await connection.execute(select(*_EXPERIMENT).where(Experiment.id > after).order_by(Experiment.id).limit(limit))
    ).all()


async def phases_of(connection: AsyncConnection, experiment_ids: Sequence[int]) -> dict[int, list[Any]]:
    """Phases by experiment, in order."""
    found: dict[int, list[Any]] = {experiment_id: [] for experiment_id in experiment_ids}
    for phase in await connection.execute(
        select(*_PHASE).where(Phase.experiment_id.in_(experiment_ids)).order_by(Phase.number)
    ):
        found[phase.experiment_id].append(phase)
    return found


async def known_policies(connection: AsyncConnection) -> Mapping[str, str]:
    """Policy version by the names it answers to: the version itself, and its aliases."""
    versions = {version: version for version in await connection.scalars(select(Policy.version))}
    aliases = {
        row.alias: row.version for row in await connection.execute(select(PolicyAlias.alias, PolicyAlias.version))
    }
    return versions | aliases


async def audit_of(connection: AsyncConnection, subject: str, limit: int = 200) -> Sequence[Any]:
    """The changes of an experiment, latest first."""
    entries = select(AuditEntry.at, AuditEntry.actor, AuditEntry.action, AuditEntry.detail).where(
        AuditEntry.subject == subject
    )
    return (await connection.execute(entries.order_by(AuditEntry.id.desc()).limit(limit))).all()
