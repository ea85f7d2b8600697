"""The kill switch: withdraws a text, an advertiser or a policy on every replica, and restores it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.core.problems import Problem
from app.store import withdrawals as store
from app.store.audit import record
from app.store.database import AsyncConnection
from app.store.policies import find_policy
from app.store.provenance import provenance
from app.store.registry import Key, announce
from app.store.texts import text_of
from app.store.withdrawals import Kind, advertiser_key, text_key


async def withdraw(connection: AsyncConnection, kind: Kind, subject: str, reason: str, *, key: Key, actor: str) -> Any:
    """Withdraw a text, an advertiser or a policy; returns the row. Replicas are notified when the transaction commits.
    Safe to repeat.

    A text goes with its wording: the same words of the same advertiser are neither served nor written again.
    """
    _allow(key, kind)
    row = await _row(connection, kind, subject, key)
    added = await store.add(connection, kind=kind, reason=reason, actor=actor, **row)
    if added is None:
        return await store.standing(connection, kind, row["key"])
    await record(connection, actor, f"{kind}.withdraw", f"{kind}:{subject}", reason=reason)
    await announce(connection, "registry")
    return added


async def restore(connection: AsyncConnection, withdrawal_id: int, *, key: Key, actor: str) -> Any:
    """Restore a withdrawal; returns the deleted row."""
    row = await store.find(connection, withdrawal_id)
    if row is None or not key.covers(row.advertiser or ""):
        raise Problem(
            404,
            "unknown_withdrawal",
            "no withdrawal has this id: GET /withdrawals lists them",
            field="withdrawal_id",
            value=withdrawal_id,
        )
    _allow(key, row.kind)
    await store.remove(connection, withdrawal_id)
    await record(connection, actor, f"{row.kind}.restore", f"{row.kind}:{row.subject}", reason=row.reason)
    await announce(connection, "registry")
    return row


def _allow(key: Key, kind: str) -> None:
    """A reviewer may withdraw texts. Advertisers and policies need scope ops."""
    if kind != "text" and key.scopes.isdisjoint({"ops", "admin"}):
        raise Problem(
            403,
            "missing_scope",
            f"key {key.prefix} has scope {', '.join(sorted(key.scopes))}; to withdraw or restore an {kind} needs ops: "
            "ask an admin for a key with it",
        )


async def _row(connection: AsyncConnection, kind: Kind, subject: str, key: Key) -> dict[str, Any]:
    if kind == "advertiser":
        return {"key": advertiser_key(subject), "advertiser": subject, "subject": subject}
    if kind == "policy":
        if await find_policy(connection, subject) is None:
            raise _unknown("policy", "no policy has that version: GET /policies lists them", subject)
        return {"key": subject, "subject": subject}
    text = await provenance(connection, UUID(subject)) if _is_id(subject) else None
    if text is None or not key.covers(text.advertiser):
        raise _unknown("text", "there is no text with that id", subject)
    words = text_of(text)
    return {
        "key": text_key(text.advertiser, words),
        "advertiser": text.advertiser,
        "subject": str(text.id),
        "title": words.title,
    }


def _is_id(subject: str) -> bool:
    try:
        UUID(subject)
    except ValueError:
        return False
    return True


def _unknown(kind: str, detail: str, subject: str) -> Problem:
    return Problem(404, f"unknown_{kind}", detail, field="subject", value=subject)
