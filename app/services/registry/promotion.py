"""Who writes: an alias moves to a version that passed the gate and answers, and back. One alias change is one
transaction; the model is asked before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import Any, Literal

from app.core.problems import Problem
from app.policies.clients import PolicyClients
from app.services.registry.golden import require_answers
from app.store import policies as store
from app.store.audit import record
from app.store.database import AsyncConnection, Database
from app.store.registry import announce, policy_of
from app.store.withdrawals import standing

Movable = Literal["champion", "challenger"]  # `previous` only ever follows the champion


class Promotions:
    """Moves aliases on behalf of the API, the pages and the canary. `refresh`: what this process holds in memory."""

    def __init__(self, database: Database, clients: PolicyClients, refresh: Callable[[], Awaitable[None]]) -> None:
        self._database, self._clients, self._refresh = database, clients, refresh

    async def promote(
        self, alias: Movable, version: str, *, actor: str, override_reason: str | None = None
    ) -> dict[str, str]:
        """Point an alias at a version; returns the aliases afterwards. A champion that is replaced becomes `previous`.

        A champion must have passed the gate, unless override_reason says why not; every version must answer.
        """
        async with self._database.begin() as connection:
            await _require_movable(connection, await store.aliases(connection), alias, version, override_reason)
            policy = policy_of(await store.find_policy(connection, version))
        await require_answers(self._clients, policy)
        async with self._database.begin() as connection:
            held = await store.lock_aliases(connection)
            gate = await _require_movable(connection, held, alias, version, override_reason)
            await store.point(connection, alias, version)
            if alias == "champion" and "champion" in held:
                await store.point(connection, "previous", held["champion"])
            why = {"gate": gate} | ({"override_reason": override_reason} if override_reason else {})
            after = await _changed(connection, actor, f"policy.promote.{alias}", held, **why)
        await self._refresh()
        return after

    async def roll_back(self, alias: Movable, *, actor: str, reason: str | None = None) -> dict[str, str]:
        """Champion and previous change places: doing it twice undoes it. Returns the aliases afterwards."""
        if alias != "champion":
            raise Problem(
                409,
                "nothing_to_roll_back_to",
                "only the champion has a previous version: promote another challenger instead",
            )
        async with self._database.begin() as connection:
            previous = _previous(await store.aliases(connection))
            await _refuse_withdrawn(connection, previous)
            policy = policy_of(await store.find_policy(connection, previous))
        await require_answers(self._clients, policy)
        async with self._database.begin() as connection:
            held = await store.lock_aliases(connection)
            if _previous(held) != previous:
                raise Problem(
                    409, "aliases_changed", "the aliases were changed by somebody else meanwhile: look, then try again"
                )
            await _refuse_withdrawn(connection, previous)
            await store.point(connection, "champion", previous)
            await store.point(connection, "previous", held["champion"])
            after = await _changed(connection, actor, "policy.rollback", held, **({"reason": reason} if reason else {}))
        await self._refresh()
        return after


def _previous(held: dict[str, str]) -> str:
    if "previous" not in held:
        raise Problem(409, "nothing_to_roll_back_to", "no champion was replaced yet: promote another version instead")
    return held["previous"]


async def _require_movable(
    connection: AsyncConnection, held: dict[str, str], alias: Movable, version: str, override_reason: str | None
) -> int | None:
    """The gate report that lets a champion in, None where none is needed; Problem where the alias may not move."""
    if await store.find_policy(connection, version) is None:
        raise unknown_policy(version)
    if held.get(alias) == version:
        raise Problem(409, "already_there", f"{version} is the {alias} already", field="version", value=version)
    await _refuse_withdrawn(connection, version)
    if alias != "champion":
        return None
    gate = (await store.latest_gates(connection, [version])).get(version)
    if override_reason is None:
        require_pass(version, gate)
    return gate.id if gate else None


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


def require_pass(version: str, gate: Any) -> None:
    """Refuse a version whose latest decision of the gate is no pass, or that has none."""
    if gate is None:
        raise Problem(
            409,
            "gate_never_ran",
            f"the gate never ran for {version}: run `relate evaluate gate`, store its report with `relate policies "
            "gate`, or give a reason to promote without it",
            field="version",
            value=version,
        )
    if not gate.passed:
        raise Problem(
            409,
            "gate_failed",
            f"{version} failed the gate on {gate.created_at.astimezone(UTC):%Y-%m-%d} (report {gate.id}): train a "
            "better one, or give a reason to promote it all the same",
            field="version",
            value=version,
        )


def unknown_policy(version: str, status: int = 422) -> Problem:
    """The refusal of a version that does not exist."""
    detail = f"there is no policy {version!r}: GET /policies lists them"
    return Problem(status, "unknown_policy", detail, field="version", value=version)


async def _changed(
    connection: AsyncConnection, actor: str, action: str, before: dict[str, str], **why: object
) -> dict[str, str]:
    after = await store.aliases(connection)
    detail = {"before": before, "after": after} | {name: value for name, value in why.items() if value is not None}
    await record(connection, actor, action, f"policy:{after['champion']}", **detail)
    await announce(connection, "registry")
    return after
