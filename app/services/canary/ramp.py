"""A canary from its start to its end. Every step is one transaction with its entry in the audit log, and announced."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func

from app.core.problems import Problem
from app.policies.clients import PolicyClients
from app.services.canary.rules import CanaryRules, State
from app.services.experiments import lifecycle
from app.services.experiments.lifecycle import ArmWish
from app.services.registry.adapters import Adapters
from app.services.registry.golden import require_answers
from app.services.registry.promotion import require_pass, unknown_policy
from app.store import canaries as store
from app.store import policies, prefill
from app.store.audit import record
from app.store.database import AsyncConnection, Database
from app.store.registry import announce, policy_of

ACTOR = "canary"
# rules of refusals that are no failure of the job: the policy is registered, and waits for a person
NOT_NOW = frozenset(
    ("canary_open", "gate_never_ran", "gate_failed", "gate_of_another_champion", "no_runtime_adapters", "full_weights")
)


async def start(
    database: Database,
    clients: PolicyClients,
    adapters: Adapters,
    policy: str,
    rules: CanaryRules,
    *,
    layer: str,
    actor: str,
    job_id: UUID | None = None,
) -> Any:
    """Start the canary of a policy that passed the gate against the present champion, and that answers; returns its
    row. What is in use is written ahead first. policy: a version, or the place of its weights.
    """
    async with database.begin() as connection:
        found = await _startable(connection, policy, layer)
    challenger = policy_of(found)
    if challenger.artifact is not None:
        await adapters.serve(challenger)
    await require_answers(clients, challenger)
    async with database.begin() as connection:
        held = await policies.lock_aliases(connection)
        found = await _startable(connection, policy, layer)
        ahead = await store.recent_briefs(connection, found.version, found.locales, rules.warm_briefs)
        prefill_id = uuid4() if ahead else None
        if prefill_id is not None:
            await prefill.create(connection, prefill_id, actor, ahead)
        row = await store.add(
            connection, version=found.version, champion=held["champion"], layer=layer, rules=rules.model_dump(),
            state="warming", reason=f"{len(ahead)} briefs are written ahead", prefill_id=prefill_id, job_id=job_id,
            actor=actor,
        )  # fmt: skip
        if row is None:
            raise _open(await store.open_in(connection, layer), found.version)
        await policies.point(connection, "challenger", found.version)
        await note(connection, row, actor, "start", layer=layer, briefs=len(ahead), rules=rules.model_dump())
    return row


async def started_by(database: Database, job_id: UUID | None) -> bool:
    """Whether a job has started its canary already, in an earlier attempt."""
    if job_id is None:
        return False
    async with database.begin() as connection:
        return any(row.job_id == job_id for row in await store.open_(connection))


async def _startable(connection: AsyncConnection, policy: str, layer: str) -> Any:
    """The policy's row. Problem where it may not start: unknown, not passed, or beside another canary."""
    found = await policies.find_policy(connection, policy) or await policies.of_artifact(connection, policy)
    if found is None:
        raise unknown_policy(policy)
    champion = (await policies.aliases(connection))["champion"]
    if found.version == champion:
        raise Problem(409, "already_there", f"{champion} is the champion already", field="policy", value=policy)
    gate = (await policies.latest_gates(connection, [found.version])).get(found.version)
    require_pass(found.version, gate)
    if gate is not None and gate.champion != champion:
        raise Problem(
            409, "gate_of_another_champion",
            f"{found.version} passed the gate against {gate.champion}, and the champion is {champion}: run the gate "
            "against it",
            field="policy", value=policy,
        )  # fmt: skip
    if (other := await store.open_in(connection, layer)) is not None:
        raise _open(other, found.version)
    return found


def _open(other: Any, version: str) -> Problem:
    detail = (
        f"the canary of {other.version} has not ended ({other.state}): {version} waits; end that one with `relate "
        f"policies canary {other.version} --roll-back`, then `relate jobs run canary --set policy={version}`"
    )
    return Problem(409, "canary_open", detail, field="policy", value=version)


def warm(row: Any, rules: CanaryRules, left: int, now: datetime) -> bool:
    """Whether the ramp may begin: what is in use is written ahead, or took too long."""
    return left == 0 or now - row.since >= timedelta(hours=rules.warm_hours)


async def begin(connection: AsyncConnection, row: Any, rules: CanaryRules) -> str:
    """Start the experiment of champion and challenger on the first share; returns its name."""
    name = f"canary-{row.id}-{row.version}"
    await lifecycle.create(
        connection,
        name=name,
        arms=[ArmWish("champion", row.champion, 1), ArmWish("challenger", row.version, 1)],
        layer=row.layer,
        coverage=rules.coverage(0),
        low=None,
        window_hours=rules.window_hours,
        planned_units=rules.planned_units,
        salt=None,
        actor=ACTOR,
    )
    await lifecycle.start(connection, name, actor=ACTOR)
    reason = f"on {rules.shares[0]:g} %"
    await _move(connection, row, "begin", "ramping", reason, experiment=name)
    return reason


async def widen(connection: AsyncConnection, row: Any, rules: CanaryRules, reason: str) -> None:
    share = row.share + 1
    await lifecycle.ramp(connection, row.experiment, coverage=rules.coverage(share), actor=ACTOR)
    said = f"from {rules.shares[row.share]:g} to {rules.shares[share]:g} %: {reason}"
    await _move(connection, row, "ramp", "ramping", said, share=share)


async def pause(connection: AsyncConnection, row: Any, reason: str) -> None:
    await _move(connection, row, "pause", "paused", reason)


async def ask(connection: AsyncConnection, row: Any, reason: str) -> None:
    await _move(connection, row, "win", "won", f"{reason} Promote it, or roll it back")


async def end(connection: AsyncConnection, row: Any, state: State, reason: str, *, actor: str = ACTOR) -> None:
    """Stop the experiment; the champion serves its units from now on. A challenger is none any more."""
    if row.experiment is not None and (await lifecycle.find(connection, row.experiment)).state == "running":
        await lifecycle.stop(connection, row.experiment, actor=actor)
    await policies.unpoint(connection, "challenger", row.version)
    action = {"promoted": "promote", "rolled_back": "roll_back"}.get(state, "stop")
    await _move(connection, row, action, state, reason, actor=actor, ended_at=func.now())


async def resume(connection: AsyncConnection, version: str, *, actor: str) -> Any:
    """Go on with a paused ramp, on the share that it has reached, in a new phase: its counts begin anew."""
    row = await _held(connection, version)
    if row.state != "paused":
        raise Problem(409, "wrong_state", f"the canary of {version} is {row.state}: only a paused one is resumed")
    await lifecycle.reweigh(connection, row.experiment, weights=[1, 1], actor=actor)
    await _move(connection, row, "resume", "ramping", "resumed in a new phase", actor=actor)
    return (await store.latest(connection, [version]))[version]


async def roll_back(connection: AsyncConnection, version: str, *, actor: str, reason: str | None = None) -> Any:
    """End a canary on a person's behalf."""
    row = await _held(connection, version)
    await end(connection, row, "rolled_back", reason or "rolled back by hand", actor=actor)
    return (await store.latest(connection, [version]))[version]


async def _held(connection: AsyncConnection, version: str) -> Any:
    row = await store.open_of(connection, version)
    if row is None:
        raise Problem(
            404, "no_canary", f"{version} has no canary that runs: GET /policies shows its last one",
            field="version", value=version,
        )  # fmt: skip
    return row


async def _move(
    connection: AsyncConnection, row: Any, action: str, state: State, reason: str, *, actor: str = ACTOR, **values: Any
) -> None:
    await store.change(connection, row.id, state=state, reason=reason, since=func.now(), looked_at=func.now(), **values)
    experiment = values.get("experiment", row.experiment)
    await note(connection, row, actor, action, experiment=experiment, reason=reason)


async def note(connection: AsyncConnection, row: Any, actor: str, action: str, **detail: Any) -> None:
    await record(connection, actor, f"canary.{action}", f"policy:{row.version}", canary=row.id, **detail)
    await announce(connection, "registry")
