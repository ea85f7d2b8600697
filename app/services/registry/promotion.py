"""Registers, promotes and rolls back policy versions. Each change of an alias is one transaction."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from app.core.problems import Problem
from app.store import policies as store
from app.store.audit import record
from app.store.database import AsyncConnection
from app.store.registry import announce
from app.store.withdrawals import standing
from trainer.registry import Decoding, policy_version

Movable = Literal["champion", "challenger"]  # `previous` always follows the champion


async def register(
    connection: AsyncConnection,
    *,
    name: str,
    kind: str,
    locales: list[str],
    endpoint: str | None,
    model: str | None,
    decoding: Decoding,
    actor: str,
) -> Any:
    """Write a new policy version, named by day and content. It serves nobody until an alias or an experiment points at
    it.
    """
    content = {"kind": kind, "model": model, "endpoint": endpoint, "locales": locales, "decoding": asdict(decoding)}
    version = policy_version(
        name,
        kind=kind,
        model=model,
        endpoint=endpoint,
        locales=locales,
        decoding=decoding,
        today=datetime.now(UTC).date(),
    )
    row = await store.add_policy(connection, version=version, **content)
    if row is None:
        raise Problem(409, "policy_exists", f"this policy is already registered as {version}", field="name", value=name)
    await record(connection, actor, "policy.register", f"policy:{version}", kind=kind, model=model, endpoint=endpoint)
    await announce(connection, "registry")
    return row


async def promote(connection: AsyncConnection, alias: Movable, version: str, *, actor: str) -> dict[str, str]:
    """Point an alias to a version. A champion that is replaced becomes `previous`. Returns the aliases afterwards."""
    held = await store.lock_aliases(connection)
    if not await store.policy_exists(connection, version):
        raise Problem(
            422,
            "unknown_policy",
            "no policy has that version: GET /policies lists them",
            field="version",
            value=version,
        )
    if held.get(alias) == version:
        raise Problem(409, "already_there", f"{version} is the {alias} already", field="version", value=version)
    await _refuse_withdrawn(connection, version)
    await store.point(connection, alias, version)
    if alias == "champion" and "champion" in held:
        await store.point(connection, "previous", held["champion"])
    return await _changed(connection, actor, f"policy.promote.{alias}", held)


async def roll_back(connection: AsyncConnection, alias: Movable, *, actor: str) -> dict[str, str]:
    """Swap the champion and the previous champion; a second rollback restores the first state. Returns the aliases
    afterwards.
    """
    if alias != "champion":
        raise Problem(
            409,
            "nothing_to_roll_back_to",
            "only the champion has a previous version: promote another challenger instead",
        )
    held = await store.lock_aliases(connection)
    if "previous" not in held:
        raise Problem(409, "nothing_to_roll_back_to", "no champion was replaced yet: promote another version instead")
    await _refuse_withdrawn(connection, held["previous"])
    await store.point(connection, "champion", held["previous"])
    await store.point(connection, "previous", held["champion"])
    return await _changed(connection, actor, "policy.rollback", held)


async def _refuse_withdrawn(connection: AsyncConnection, version: str) -> None:
    """A policy that no replica serves would leave its alias to the fallback chain."""
    if await standing(connection, "policy", version) is not None:
        raise Problem(
            409,
            "withdrawn",
            f"{version} is withdrawn: restore it first, or promote another version",
            field="version",
            value=version,
        )


async def _changed(connection: AsyncConnection, actor: str, action: str, before: dict[str, str]) -> dict[str, str]:
    after = await store.aliases(connection)
    await record(connection, actor, action, f"policy:{after['champion']}", before=before, after=after)
    await announce(connection, "registry")
    return after
