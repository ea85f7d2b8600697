"""Prefill items: briefs for which texts must be written. Workers claim them with a lease."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, update

from adtext.brief import AdBrief
from app.store.database import AsyncConnection
from app.store.models.creatives import Prefill, PrefillItem


@dataclass(frozen=True, slots=True)
class NewItem:
    platform: str
    policy_version: str
    brief: AdBrief


async def create(connection: AsyncConnection, prefill_id: UUID, actor: str, items: Sequence[NewItem]) -> None:
    await connection.execute(insert(Prefill).values(id=prefill_id, actor=actor))
    rows = [
        {
            "prefill_id": prefill_id,
            "number": number,
            "platform": item.platform,
            "policy_version": item.policy_version,
            "brief": item.brief.model_dump(mode="json"),
            "state": "waiting",
            "texts": 0,
        }
        for number, item in enumerate(items)
    ]
    await connection.execute(insert(PrefillItem), rows)


async def claim(connection: AsyncConnection, lease: timedelta, *, but: Collection[str] = ()) -> Any | None:
    """Claim the oldest waiting item of a policy that is not in `but`. After a crash it becomes free when the lease
    expires.
    """
    oldest = select(PrefillItem.id).where(
        PrefillItem.state == "waiting", PrefillItem.due_at <= func.now(), PrefillItem.policy_version.not_in(but)
    )
    chosen = oldest.order_by(PrefillItem.id).limit(1).with_for_update(skip_locked=True).scalar_subquery()
    statement = update(PrefillItem).where(PrefillItem.id == chosen).values(due_at=func.now() + lease)
    return (await connection.execute(statement.returning(*PrefillItem.__table__.c))).first()


async def keep(connection: AsyncConnection, item_ids: Collection[int], lease: timedelta) -> None:
    """Renew the lease of claimed items; a lease of zero releases them."""
    statement = update(PrefillItem).where(PrefillItem.id.in_(item_ids), PrefillItem.state == "waiting")
    await connection.execute(statement.values(due_at=func.now() + lease))


async def finish(connection: AsyncConnection, item_id: int, *, state: str, texts: int, reason: str | None) -> None:
    """Record the outcome of an item, and delete its brief."""
    changed = {"state": state, "texts": texts, "reason": reason, "brief": {}}
    await connection.execute(update(PrefillItem).where(PrefillItem.id == item_id).values(changed))


async def progress(connection: AsyncConnection, prefill_id: UUID) -> Any | None:
    """Totals of one prefill, or None where it is unknown."""
    known = await connection.scalar(select(Prefill.id).where(Prefill.id == prefill_id))
    if known is None:
        return None
    counted = select(
        func.count().label("total"),
        func.count().filter(PrefillItem.state == "done").label("done"),
        func.count().filter(PrefillItem.state == "failed").label("failed"),
        func.coalesce(func.sum(PrefillItem.texts), 0).label("texts"),
    )
    return (await connection.execute(counted.where(PrefillItem.prefill_id == prefill_id))).one()


async def advertisers(connection: AsyncConnection, prefill_id: UUID) -> Sequence[str]:
    """The advertisers of a prefill."""
    name = PrefillItem.brief["ad"]["advertiser"].astext
    return (await connection.scalars(select(name).where(PrefillItem.prefill_id == prefill_id).distinct())).all()


async def items(connection: AsyncConnection, prefill_id: UUID, after: int, limit: int) -> Sequence[Any]:
    statement = select(PrefillItem).where(PrefillItem.prefill_id == prefill_id, PrefillItem.number > after)
    return (await connection.execute(statement.order_by(PrefillItem.number).limit(limit))).all()
