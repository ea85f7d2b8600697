"""What people and schedules ask of jobs: start one, cancel it, retry it. A refused request leaves nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from pydantic import ValidationError
from sqlalchemy import func

from app.core.problems import Problem, field_problem
from app.core.settings import Settings
from app.services.jobs import chains
from app.services.jobs.artifacts import Artifact, config_file, inside, measured, policy_source
from app.services.jobs.kinds import KINDS, RETRAIN, Configured, Kind, Parameters, Reason, kind_of
from app.store import job_queue, policies
from app.store import jobs as store
from app.store.audit import record
from app.store.database import AsyncConnection, Database
from trainer.config import ConfigError, DpoConfig, GateConfig, GrpoConfig, RewardConfig, SftConfig, load_config
from trainer.config import Settings as Config

_CONFIGS: dict[str, type[Config]] = {
    "reward": RewardConfig, "held_out": RewardConfig, "sft": SftConfig, "dpo": DpoConfig, "grpo": GrpoConfig,
    "gate": GateConfig,
}  # fmt: skip
_INPUTS = ("snapshot", "reward_model", "held_out_reward_model", "prompts")
RETRIABLE = ("failed", "cancelled", "rejected")


@dataclass(frozen=True, slots=True)
class _Checked:
    """A request whose names were all found."""

    kind: Kind
    parameters: dict[str, Any]
    inputs: list[Artifact]
    identity: str


async def start(
    database: Database, settings: Settings, kind: str, parameters: dict[str, Any], *, reason: Reason, actor: str
) -> tuple[Any, bool]:
    """Queue a job, or a chain with its steps; returns it and whether it is new.

    The same request while such a job waits or runs is answered with that job; so is one that would repeat what a job
    has done already.
    """
    wanted = kind_of(kind)
    async with database.begin() as connection:
        champion = await policies.aliased(connection, "champion")
    model = champion.model if champion else None
    checked = await asyncio.to_thread(_check, settings.data_dir, wanted, parameters, model)
    row = {
        "id": uuid4(), "kind": kind, "state": "queued", "reason": reason, "actor": actor,
        "parameters": checked.parameters, "inputs": [artifact.to_json() for artifact in checked.inputs],
    }  # fmt: skip
    async with database.begin() as connection:
        made = await store.add_unless_there(connection, **row, identity=checked.identity)
        if made is None:
            return await store.with_identity(connection, checked.identity), False
        await record(connection, actor, "job.start", f"job:{made.id}", kind=kind, reason=reason)
        if kind == RETRAIN:
            await _queue(connection, await _add_steps(connection, made))
        else:
            await _queue(connection, made)
        return await store.find(connection, made.id), True


async def _add_steps(connection: AsyncConnection, chain: Any) -> Any:
    """The chain's steps, of which only the first is queued; returns it."""
    about = {"parent_id": chain.id, "reason": chain.reason, "actor": chain.actor, "parameters": {}, "inputs": []}
    await store.add(
        connection,
        [
            about | {"id": uuid4(), "kind": step.kind, "position": at, "state": "waiting"}
            for at, step in enumerate(chains.STEPS)
        ],
    )
    return (await store.steps(connection, chain.id))[0]


async def _queue(connection: AsyncConnection, job: Any) -> None:
    queue_id = await job_queue.enqueue(connection, job.id, kind_of(job.kind).queue)
    await store.change(connection, job.id, state="queued", queue_id=queue_id, queued_at=func.now())


async def requeue(connection: AsyncConnection, job: Any, **values: Any) -> None:
    """Let another worker have a job that was taken before."""
    await job_queue.forget(connection, job.queue_id)
    await _queue(connection, job)
    await store.change(connection, job.id, worker=None, heartbeat_at=None, **values)


async def cancel(connection: AsyncConnection, job_id: UUID, *, actor: str) -> Any:
    """Cancel a job; a step takes its chain along. What runs is asked to end, and is gone within seconds."""
    job = await _locked(connection, job_id)
    chain = await _locked(connection, job.parent_id) if job.parent_id else job
    if chain.state not in store.UNFINISHED:
        raise Problem(409, "job_ended", f"job {job_id} has ended ({chain.state}): there is nothing to cancel")
    await record(connection, actor, "job.cancel", f"job:{chain.id}", kind=chain.kind)
    parts = await store.steps(connection, chain.id) or [chain]
    running = False
    for part in parts:
        if part.state == "running":
            running = True
            await store.change(connection, part.id, cancel_requested_at=func.now())
        elif part.state in store.UNFINISHED:
            await job_queue.forget(connection, part.queue_id)
            await store.change(connection, part.id, state="cancelled", ended_at=func.now(), identity=None)
    if chain.kind == RETRAIN:
        ended = {"cancel_requested_at": func.now()} | ({} if running else _ended("cancelled"))
        await store.change(connection, chain.id, **ended)
    return await store.find(connection, job_id)


def _ended(state: str) -> dict[str, Any]:
    return {"state": state, "ended_at": func.now(), "identity": None}


async def retry(connection: AsyncConnection, job_id: UUID, *, actor: str) -> Any:
    """Run a job again that failed or was cancelled, from its last checkpoint; a chain goes on at the step that did."""
    job = await _locked(connection, job_id)
    chain = await _locked(connection, job.parent_id) if job.parent_id else job
    steps: Sequence[Any] = await store.steps(connection, chain.id)
    first = next((step for step in steps if step.state != "succeeded"), None) if steps else chain
    if chain.state not in RETRIABLE or first is None or (job.parent_id and first.id != job.id):
        raise Problem(
            409, "not_retriable", f"job {job_id} is {job.state}: only a job that failed, was rejected or was cancelled "
            "is retried, and of a chain the first step that did not succeed",
        )  # fmt: skip
    identity = _identity(
        kind_of(chain.kind), chain.parameters, [Artifact.of_json(artifact) for artifact in chain.inputs]
    )
    twin = await store.with_identity(connection, identity)
    if twin is not None:
        raise Problem(409, "same_job", f"job {twin.id} was asked for the same and is {twin.state}: there is no need")
    await record(connection, actor, "job.retry", f"job:{chain.id}", kind=chain.kind, step=first.kind)
    fresh = {"error": None, "ended_at": None, "cancel_requested_at": None, "lost": 0}
    await store.change(connection, chain.id, **fresh, state="queued", identity=identity)
    for step in steps:
        if step.position >= first.position:
            await store.change(connection, step.id, **fresh, state="waiting", outputs=[])
    await requeue(connection, first)
    return await store.find(connection, job_id)


async def step_ended(connection: AsyncConnection, job: Any, state: str, error: str | None) -> None:
    """After a chain's step: queue the next one, or end the chain as its last step ended."""
    chain = await _locked(connection, job.parent_id)
    later = [step for step in await store.steps(connection, chain.id) if step.position > job.position]
    if state == "succeeded" and later and chain.cancel_requested_at is None:
        await requeue(connection, later[0])
        return
    ending = "cancelled" if state == "succeeded" and later else state
    if ending == "cancelled":
        for step in later:
            await store.change(connection, step.id, state=ending, ended_at=func.now())
    await store.change(connection, chain.id, **_ended(ending), error=error and f"{job.kind}: {error}")


async def _locked(connection: AsyncConnection, job_id: UUID) -> Any:
    job = await store.lock(connection, job_id)
    if job is None:
        raise unknown(job_id)
    return job


def unknown(job_id: object) -> Problem:
    return Problem(
        404, "unknown_job", f"there is no job {job_id}: GET /jobs lists them", field="job_id", value=str(job_id)
    )


def _check(data_dir: Path, kind: Kind, parameters: dict[str, Any], champion: str | None) -> _Checked:
    """Read everything that a request names. Takes as long as reading its artifacts: call it in a thread."""
    try:
        wish = kind.parameters.model_validate(parameters)
    except ValidationError as error:
        first = field_problem(error.errors()[0])
        field = f"parameters.{first.field}" if first.field != "body" else "parameters"
        raise Problem(422, first.rule, f"{field}: {first.detail}", field=field, value=first.value) from error
    named = ((name, getattr(wish, name, None)) for name in _INPUTS)
    inputs = [measured(data_dir, name, inside(data_dir, path, name)) for name, path in named if path]
    for name in ("policy", "baseline") if kind.name != "canary" else ():
        source = getattr(wish, name, None)
        place = policy_source(data_dir, source, champion) if source else None
        if place is not None and source != "champion":
            inputs.append(measured(data_dir, name, place))
    _check_configs(data_dir, kind, wish)
    normal = wish.model_dump(mode="json")
    return _Checked(kind, normal, inputs, _identity(kind, normal, inputs))


def _check_configs(data_dir: Path, kind: Kind, wish: Parameters) -> None:
    """Refuse a configuration that its training would refuse."""
    given: dict[str, Any] = {kind.name: wish, **{name: getattr(wish, name) for name in type(wish).model_fields}}
    for name, configured in given.items():
        if not isinstance(configured, Configured):
            continue
        file = config_file(data_dir, configured.config)
        try:
            load_config(_CONFIGS[name], file, configured.set)
        except ConfigError as error:
            field = f"parameters.{name}"
            raise Problem(422, "config", f"{name}: {error}", field=field, value=configured.config) from error


def _identity(kind: Kind, parameters: dict[str, Any], inputs: Sequence[Artifact]) -> str:
    content = [kind.name, parameters, sorted((artifact.name, artifact.digest) for artifact in inputs)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def queues() -> list[str]:
    """Every queue that a worker may serve."""
    return sorted({kind.queue for kind in KINDS.values()})
