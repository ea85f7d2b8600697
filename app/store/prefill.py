"""Prefill work: briefs waiting to be written for, claimed with SKIP LOCKED."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


async def claim(connection: AsyncConnection) -> Any | None:
    """The oldest waiting item, locked until this transaction ends, so that a crash gives it back."""
    statement = select(PrefillItem).where(PrefillItem.state == "waiting").order_by(PrefillItem.id).limit(1)
    return (await connection.execute(statement.with_for_update(skip_locked=True))).first()


async def finish(connection: AsyncConnection, item_id: int, *, state: str, texts: int, reason: str | None) -> None:
    await connection.execute(
        update(PrefillItem).where(PrefillItem.id == item_id).values(state=state, texts=texts, reason=reason)
    )


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
    """The advertisers whose ads a prefill writes for."""
    name = PrefillItem.brief["ad"]["advertiser"].astext
    return (await connection.scalars(select(name).where(PrefillItem.prefill_id == prefill_id).distinct())).all()


async def items(connection: AsyncConnection, prefill_id: UUID, after: int, limit: int) -> Sequence[Any]:
    statement = select(PrefillItem).where(PrefillItem.prefill_id == prefill_id, PrefillItem.number > after)
    return (await connection.execute(statement.order_by(PrefillItem.number).limit(limit))).all()
