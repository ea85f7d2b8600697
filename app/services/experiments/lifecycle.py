"""The lifecycle of an experiment: draft, running, stopped. Every change is audited and announced to all replicas in the
same transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from abtest.assignment import BUCKETS, Arm, ExperimentPlan
from app.core.problems import Problem
from app.services.experiments.buckets import BucketRange, first_free, hundredths, overlapping, percent_of, widen
from app.store import experiments as store
from app.store.audit import record
from app.store.database import AsyncConnection
from app.store.registry import announce


@dataclass(frozen=True, slots=True)
class ArmRecord:
    name: str
    policy: str  # version
    weight: int  # of 10,000


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """A period with fixed weights. Reports show one phase; phases are never summed."""

    id: int
    number: int
    salt: str
    arms: tuple[ArmRecord, ...]  # the control comes first
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    id: int
    name: str
    layer: str
    state: str
    low: int  # its buckets of the layer: [low, high) of 10,000
    high: int
    window_hours: int
    planned_units: int
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    phases: tuple[PhaseRecord, ...]

    @property
    def range(self) -> BucketRange:
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class AuditRecord:
    at: datetime
    actor: str
    action: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ArmWish:
    """An arm of a request: a policy version or alias, and a weight relative to the other arms."""

    name: str
    policy: str
    weight: float


async def create(
    connection: AsyncConnection,
    *,
    name: str,
    arms: Sequence[ArmWish],
    layer: str,
    coverage: int,
    low: int | None,
    window_hours: int,
    planned_units: int,
    salt: str | None,
    actor: str,
) -> ExperimentRecord:
    """Create a draft. It gets `coverage` buckets from `low`, or the first free range of the layer. The buckets are
    taken when it starts.
    """
    chosen = await _arms(connection, arms)
    others = await store.lock_layer(connection, layer)
    held = (low, low + coverage) if low is not None else _room(coverage, others)
    if held[1] > BUCKETS:
        raise Problem(
            422,
            "range",
            f"buckets [{held[0]}, {held[1]}) end beyond {BUCKETS}: choose a smaller low or a smaller coverage",
            field="low",
            value=low,
        )
    salt = salt or _salt(name, 1)
    _plan(layer, salt, held, chosen)
    values = {
        "layer": layer,
        "low": held[0],
        "high": held[1],
        "window_hours": window_hours,
        "planned_units": planned_units,
    }
    experiment_id = await store.add_experiment(connection, name=name, state="draft", **values)
    if experiment_id is None:
        raise Problem(
            409,
            "name_taken",
            f"there is an experiment {name} already: choose a name that was never used",
            field="name",
            value=name,
        )
    await store.add_phase(connection, experiment_id=experiment_id, number=1, salt=salt, arms=chosen)
    await _note(connection, actor, "create", name, **values, arms=chosen)
    return await find(connection, name)


async def start(connection: AsyncConnection, name: str, *, actor: str) -> ExperimentRecord:
    """Start a draft: from now on its units are served by their arms. Window and planned units can no longer change."""
    experiment, running = await _held(connection, name, "start", "draft")
    _refuse_overlap(experiment.range, running, "low")
    now = datetime.now(UTC)
    await store.set_experiment(connection, experiment.id, state="running", started_at=now)
    await store.set_phase(connection, experiment.phases[-1].id, started_at=now)
    await _note(connection, actor, "start", name, low=experiment.low, high=experiment.high)
    return await find(connection, name)


async def ramp(connection: AsyncConnection, name: str, *, coverage: int, actor: str) -> ExperimentRecord:
    """Increase the coverage to `coverage` buckets. Units already enrolled keep their arm."""
    experiment, running = await _held(connection, name, "ramp", "running")
    now_covered = experiment.high - experiment.low
    if coverage <= now_covered:
        raise Problem(
            422, "ramp_only_widens",
            f"{name} covers {percent_of(now_covered):g} % already and {percent_of(coverage):g} % was asked: narrowing "
            "would take units out",
            field="coverage_percent", value=percent_of(coverage),
        )  # fmt: skip
    wider = widen(experiment.range, coverage, [(other.low, other.high) for other in running])
    if wider is None:
        raise _no_room(coverage, running)
    await store.set_experiment(connection, experiment.id, low=wider[0], high=wider[1])
    await _note(connection, actor, "ramp", name, low=wider[0], high=wider[1])
    return await find(connection, name)


async def reweigh(connection: AsyncConnection, name: str, *, weights: Sequence[float], actor: str) -> ExperimentRecord:
    """Open a new phase with other weights and a new salt. The report of the previous phase stays; phases are never
    summed.
    """
    experiment, _ = await _held(connection, name, "weights", "running")
    current = experiment.phases[-1]
    if len(weights) != len(current.arms):
        raise Problem(
            422, "weights", f"{name} has {len(current.arms)} arms and got {len(weights)} weights: give one per arm, in "
                            "their order",
            field="weights", value=list(weights),
        )  # fmt: skip
    arms = [
        _arm(arm.name, arm.policy, weight)
        for arm, weight in zip(current.arms, _scaled(weights, "weights"), strict=True)
    ]
    number, now = current.number + 1, datetime.now(UTC)
    await store.set_phase(connection, current.id, ended_at=now)
    await store.add_phase(
        connection, experiment_id=experiment.id, number=number, salt=_salt(name, number), arms=arms, started_at=now
    )  # fmt: skip
    await _note(connection, actor, "weights", name, phase=number, arms=arms)
    return await find(connection, name)


async def stop(connection: AsyncConnection, name: str, *, actor: str) -> ExperimentRecord:
    """Stop the experiment permanently: the champion serves its units, and events of served texts still count."""
    experiment, _ = await _held(connection, name, "stop", "running")
    now = datetime.now(UTC)
    await store.set_experiment(connection, experiment.id, state="stopped", stopped_at=now)
    await store.set_phase(connection, experiment.phases[-1].id, ended_at=now)
    await _note(connection, actor, "stop", name)
    return await find(connection, name)


async def find(connection: AsyncConnection, name: str) -> ExperimentRecord:
    row = await store.find_experiment(connection, name)
    if row is None:
        raise Problem(
            404,
            "unknown_experiment",
            f"there is no experiment {name!r}: GET /experiments lists them",
            field="name",
            value=name,
        )
    return _record(row, (await store.phases_of(connection, [row.id]))[row.id])


async def listed(connection: AsyncConnection, *, after: int = 0, limit: int = 100) -> list[ExperimentRecord]:
    rows = await store.list_experiments(connection, after, limit)
    phases = await store.phases_of(connection, [row.id for row in rows])
    return [_record(row, phases[row.id]) for row in rows]


async def history(connection: AsyncConnection, name: str) -> list[AuditRecord]:
    return [AuditRecord(**row._mapping) for row in await store.audit_of(connection, f"experiment:{name}")]


async def _held(connection: AsyncConnection, name: str, action: str, state: str) -> tuple[ExperimentRecord, list[Any]]:
    """The experiment in the state that the action needs, and the other running experiments of its layer, locked until
    the transaction ends.
    """
    layer = (await find(connection, name)).layer
    others = await store.lock_layer(connection, layer)
    experiment = await find(connection, name)
    if experiment.state != state:
        raise Problem(409, "wrong_state", f"{name} is {experiment.state}: {action} needs an experiment that is {state}")
    return experiment, [other for other in others if other.state == "running" and other.name != name]


def _room(coverage: int, others: Sequence[Any]) -> BucketRange:
    """A free range beside all running experiments and, if possible, all drafts. A draft takes its buckets when it
    starts.
    """
    running = [(other.low, other.high) for other in others if other.state == "running"]
    found = first_free(coverage, [(other.low, other.high) for other in others]) or first_free(coverage, running)
    if found is None:
        raise _no_room(coverage, [other for other in others if other.state == "running"])
    return found


def _no_room(coverage: int, running: Sequence[Any]) -> Problem:
    held = ", ".join(f"{other.name} [{other.low}, {other.high})" for other in running)
    return Problem(
        409,
        "layer_full",
        f"the layer has no room for {percent_of(coverage):g} % beside {held}: cover less, stop one, or use another "
        "layer",
        field="coverage_percent", value=percent_of(coverage),
    )  # fmt: skip


def _refuse_overlap(wanted: BucketRange, running: Sequence[Any], field: str) -> None:
    clash = overlapping(wanted, [(other.low, other.high) for other in running])
    if clash:
        names = ", ".join(
            f"{other.name} [{other.low}, {other.high})" for other in running if (other.low, other.high) in clash
        )
        raise Problem(
            409, "layer_overlap",
            f"buckets [{wanted[0]}, {wanted[1]}) are held by {names} of the same layer: stop it, or create this one "
            "with other buckets",
            field=field, value=wanted[0],
        )  # fmt: skip


async def _arms(connection: AsyncConnection, wishes: Sequence[ArmWish]) -> list[dict[str, Any]]:
    policies = await store.known_policies(connection)
    for i, wish in enumerate(wishes):
        if wish.policy not in policies:
            raise Problem(
                422,
                "unknown_policy",
                f"there is no policy {wish.policy!r}: GET /policies lists them",
                field=f"arms.{i}.policy",
                value=wish.policy,
            )
    weights = _scaled([wish.weight for wish in wishes], "arms")
    return [_arm(wish.name, policies[wish.policy], weight) for wish, weight in zip(wishes, weights, strict=True)]


def _arm(name: str, policy: str, weight: int) -> dict[str, Any]:
    return {"name": name, "policy": policy, "weight": weight}


def _scaled(weights: Sequence[float], field: str) -> list[int]:
    if not sum(weights) > 0:
        raise Problem(
            422,
            "weights",
            "all weights are 0: give at least one arm a positive weight",
            field=field,
            value=list(weights),
        )
    scaled = hundredths(weights)
    for weight, hundredth in zip(weights, scaled, strict=True):
        if weight and not hundredth:
            detail = (
                f"weight {weight:g} is {weight / sum(weights):.3g} of all weights and would get no units: the smallest "
                "share is 0.0001 (0.01 %); raise it, or set it to 0"
            )
            raise Problem(422, "weight_too_small", detail, field=field, value=weight)
    return scaled


def _plan(layer: str, salt: str, held: BucketRange, arms: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a plan that assignment would refuse later."""
    try:
        ExperimentPlan(layer, salt, *held, tuple(Arm(**arm) for arm in arms))
    except ValueError as error:
        raise Problem(422, "invalid_plan", str(error), field="arms", value=[arm["name"] for arm in arms]) from error


def _salt(name: str, number: int) -> str:
    return f"{name}.{number}.{secrets.token_hex(4)}"


def _record(row: Any, phases: Sequence[Any]) -> ExperimentRecord:
    records = (
        PhaseRecord(
            phase.id,
            phase.number,
            phase.salt,
            tuple(ArmRecord(**arm) for arm in phase.arms),
            phase.started_at,
            phase.ended_at,
        )
        for phase in phases
    )
    return ExperimentRecord(**row._mapping, phases=tuple(records))


async def _note(connection: AsyncConnection, actor: str, action: str, name: str, **detail: Any) -> None:
    await record(connection, actor, f"experiment.{action}", f"experiment:{name}", **detail)
    await announce(connection, "registry")
