"""The lifecycle of an API key: created, rotated, expired, revoked. Every change is audited and announced to all
replicas in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.core.api_keys import ADVERTISER_SCOPES, digest_of, new_key
from app.core.problems import Problem
from app.store import keys as store
from app.store.audit import record
from app.store.database import AsyncConnection
from app.store.registry import announce


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as lists show it."""

    id: int
    name: str
    prefix: str
    scopes: list[str]
    advertiser: str | None
    rate_per_second: float | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key. `key` is shown only once: only its digest is stored."""

    key: str
    record: KeyRecord


async def create(
    connection: AsyncConnection,
    *,
    name: str,
    scopes: Sequence[str],
    advertiser: str | None = None,
    rate_per_second: float | None = None,
    expires_at: datetime | None = None,
    limit: datetime | None = None,
    actor: str,
) -> NewKey:
    """Create a key. `expires_at` must be in the future. `limit`: the expiry of the key that creates it."""
    if expires_at is not None:
        _ahead(expires_at)
    _within(limit, scopes, expires_at)
    if advertiser is not None and not ADVERTISER_SCOPES.issuperset(scopes):
        raise Problem(
            422,
            "scopes_of_every_advertiser",
            f"a key of one advertiser may have the scopes {', '.join(sorted(ADVERTISER_SCOPES))} only: the others "
            "show or change what belongs to all advertisers",
            field="scopes",
            value=sorted(set(scopes)),
        )
    key, prefix = new_key()
    row = await store.add_key(
        connection,
        name=name,
        prefix=prefix,
        digest=digest_of(key),
        scopes=sorted(set(scopes)),
        advertiser=advertiser,
        rate_per_second=rate_per_second,
        expires_at=expires_at,
    )
    await _note(connection, actor, "key.create", row, name=name, scopes=row.scopes, advertiser=advertiser)
    return NewKey(key, _record(row))


async def listed(connection: AsyncConnection, *, after: int = 0, limit: int = 100) -> list[KeyRecord]:
    return [_record(row) for row in await store.list_keys(connection, after, limit)]


async def rotate(
    connection: AsyncConnection, key_id: int, *, overlap: timedelta, limit: datetime | None = None, actor: str
) -> NewKey:
    """A new key with the name, scopes, advertiser, rate and expiry of the old one. The old key stays valid for
    `overlap`, and never longer than before.
    """
    old = await _alive(connection, key_id)
    last = datetime.now(UTC) + overlap
    fresh = await create(
        connection,
        name=old.name,
        scopes=old.scopes,
        advertiser=old.advertiser,
        rate_per_second=old.rate_per_second,
        expires_at=old.expires_at,
        limit=limit,
        actor=actor,
    )
    until = last if old.expires_at is None else min(last, old.expires_at)
    await store.set_expiry(connection, key_id, until)
    await _note(connection, actor, "key.rotate", old, successor=fresh.record.id, until=until.isoformat())
    return fresh


async def expire(
    connection: AsyncConnection, key_id: int, *, at: datetime, limit: datetime | None = None, actor: str
) -> KeyRecord:
    """Set the expiry of a key. A key that has expired stays expired."""
    _within(limit, (await _alive(connection, key_id)).scopes, at)
    row = await store.set_expiry(connection, key_id, _ahead(at))
    await _note(connection, actor, "key.expire", row, at=at.isoformat())
    return _record(row)


async def revoke(connection: AsyncConnection, key_id: int, *, actor: str) -> KeyRecord:
    """Revoke a key and its sessions at once. This cannot be undone."""
    await _unrevoked(connection, key_id)
    row = await store.set_revoked(connection, key_id)
    await _note(connection, actor, "key.revoke", row)
    return _record(row)


async def _alive(connection: AsyncConnection, key_id: int) -> Any:
    row = await _unrevoked(connection, key_id)
    if row.expires_at is not None and row.expires_at <= datetime.now(UTC):
        raise Problem(
            409,
            "key_expired",
            f"key {row.prefix} expired at {row.expires_at:%Y-%m-%dT%H:%M:%SZ} and stays so: make a new one",
        )
    return row


async def _unrevoked(connection: AsyncConnection, key_id: int) -> Any:
    row = await store.lock_key(connection, key_id)
    if row is None:
        raise Problem(
            404, "unknown_key", f"there is no key {key_id}: GET /keys lists them", field="key_id", value=key_id
        )
    if row.revoked_at is not None:
        raise Problem(
            409,
            "key_revoked",
            f"key {row.prefix} was revoked at {row.revoked_at:%Y-%m-%dT%H:%M:%SZ}, for good: make a new one",
        )
    return row


def _ahead(at: datetime) -> datetime:
    if at <= datetime.now(UTC):
        raise Problem(
            422,
            "expires_in_the_past",
            "the expiry must be in the future: revoke the key to end it now",
            field="expires_at",
            value=at.isoformat(),
        )
    return at


def _within(limit: datetime | None, scopes: Sequence[str], expires_at: datetime | None) -> None:
    """An admin key that expires cannot create an admin key that expires later."""
    if limit is not None and "admin" in scopes and (expires_at is None or expires_at > limit):
        raise Problem(
            403,
            "outlives_its_maker",
            f"your own key expires at {limit:%Y-%m-%dT%H:%M:%SZ}, and an admin key made with it must not work longer: "
            "send an earlier expires_at, or ask an admin whose key does not expire",
            field="expires_at",
            value=expires_at.isoformat() if expires_at else "never",
        )


def _record(row: Any) -> KeyRecord:
    return KeyRecord(**row._mapping)


async def _note(connection: AsyncConnection, actor: str, action: str, row: Any, **detail: Any) -> None:
    await record(connection, actor, action, f"key:{row.id}", prefix=row.prefix, **detail)
    await announce(connection, "registry")
