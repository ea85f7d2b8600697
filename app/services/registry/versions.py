"""Policy versions join the registry: what they are, what they were made from, and what the gate decided."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.core.problems import Problem
from app.services.registry.promotion import unknown_policy
from app.store import policies as store
from app.store.audit import record
from app.store.database import AsyncConnection
from app.store.registry import announce
from trainer.gate_report import GateReport
from trainer.registry import Decoding, policy_version


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFrom:
    """Where a policy's weights come from, and what was measured after its training."""

    parent: str | None = None  # the version that it was trained from
    digest: str | None = None  # digest of the weights; part of the version's name
    artifact: str | None = None  # the folder or address that holds them
    snapshot: str | None = None  # digest of the logs that it learned from
    config: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)


async def register(
    connection: AsyncConnection,
    *,
    name: str,
    kind: str,
    locales: list[str],
    endpoint: str | None,
    model: str | None,
    decoding: Decoding,
    made_from: MadeFrom,
    actor: str,
) -> Any:
    """Write a new policy version, named by day and content. It serves nobody until an alias or an experiment points at
    it.
    """
    parent, digest = made_from.parent, made_from.digest
    if parent is not None and await store.find_policy(connection, parent) is None:
        detail = f"there is no policy {parent!r} to be its parent: register that one first"
        raise Problem(422, "unknown_policy", detail, field="parent", value=parent)
    today = datetime.now(UTC).date()
    version = policy_version(
        name, kind=kind, model=model, endpoint=endpoint, locales=locales, decoding=decoding, today=today, digest=digest
    )
    content = {"kind": kind, "model": model, "endpoint": endpoint, "locales": locales, "decoding": asdict(decoding)}
    row = await store.add_policy(connection, version=version, **content, **asdict(made_from))
    if row is None:
        raise Problem(409, "policy_exists", f"this policy is already registered as {version}", field="name", value=name)
    origin = {"kind": kind, "model": model, "endpoint": endpoint, "parent": parent, "digest": digest}
    await record(connection, actor, "policy.register", f"policy:{version}", **origin)
    await announce(connection, "registry")
    return row


async def store_gate_report(
    connection: AsyncConnection, version: str, report: GateReport, *, actor: str, job_id: UUID | None = None
) -> Any:
    """Keep a decision of the gate with the policy it is about. Refused where the report is about other weights.

    job_id: of the job that ran the gate.
    """
    policy = await store.find_policy(connection, version)
    if policy is None:
        raise unknown_policy(version, 404)
    compared = report.challenger.digests.get("policy")
    if policy.digest is not None and compared != policy.digest:
        raise Problem(
            422, "other_artifact",
            f"the report is about weights {compared} and {version} has {policy.digest}: run the gate for this version",
            field="challenger.digests.policy", value=compared,
        )  # fmt: skip
    if policy.digest is None and report.challenger.name != version:
        raise Problem(
            422, "other_policy",
            f"the report is about {report.challenger.name!r}: run the gate with --challenger {version}=FOLDER, or "
            "register the policy with the digest of its weights",
            field="challenger.name", value=report.challenger.name,
        )  # fmt: skip
    row = await store.add_gate_report(
        connection,
        version=version,
        champion=report.champion.name,
        passed=report.passed,
        report=report.model_dump(mode="json"),
        actor=actor,
        job_id=job_id,
    )
    blocking = [line.measure for line in report.blocking]
    detail = {"report": row.id, "champion": report.champion.name, "blocking": blocking}
    await record(connection, actor, f"gate.{'pass' if report.passed else 'fail'}", f"policy:{version}", **detail)
    return row
