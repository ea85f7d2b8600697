"""The review queue, who has which text open, and the decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.store.database import AsyncConnection
from app.store.models.creatives import BriefRow
from app.store.models.reviews import ReviewDecision, ReviewLock
from app.store.statements import statement

Decided = ReviewDecision


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which waiting texts a reviewer wants to see; None: all."""

    advertiser: str | None = None  # the only one that the reviewer's key covers
    language: str | None = None  # en, zh or ja
    product: str | None = None  # adtext.brief.ProductClass
    text_id: UUID | None = None


async def queue(connection: AsyncConnection, key_id: int, wanted: Wanted, limit: int) -> Sequence[Any]:
    """Texts that wait for this reviewer, with policy, brief and what a second opinion is asked on."""
    values = {
        "key_id": key_id,
        "advertiser": wanted.advertiser,
        "language": wanted.language,
        "product": wanted.product,
        "text_id": wanted.text_id,
        "limit": limit,
    }
    return (await connection.execute(text(statement("review_queue")), values)).all()


async def lock(connection: AsyncConnection, text_id: UUID, key_id: int, reviewer: str, lasts: timedelta) -> bool:
    """Take the text, or keep it for longer; False where another reviewer has it open."""
    held = ReviewLock.expires_at > func.now()
    mine = ReviewLock.key_id == key_id
    values = {"key_id": key_id, "reviewer": reviewer, "expires_at": func.now() + lasts}
    opened = case((held, ReviewLock.opened_at), else_=func.now())
    taken = (
        upsert(ReviewLock)
        .values(text_id=text_id, **values)
        .on_conflict_do_update(
            index_elements=["text_id"],
            set_=values | {"opened_at": opened},
            where=mine | ~held,
        )
        .returning(ReviewLock.text_id)
    )
    return (await connection.execute(taken)).one_or_none() is not None


async def holder(connection: AsyncConnection, text_id: UUID) -> Any:
    """The lock on a text that is not over; None where nobody has it open."""
    query = select(ReviewLock).where(ReviewLock.text_id == text_id, ReviewLock.expires_at > func.now())
    return (await connection.execute(query)).one_or_none()


async def unlock(connection: AsyncConnection, text_id: UUID) -> None:
    await connection.execute(delete(ReviewLock).where(ReviewLock.text_id == text_id))


async def unlock_all(connection: AsyncConnection, key_id: int, *, but: UUID) -> None:
    """Close what this reviewer has open, but for one text."""
    await connection.execute(delete(ReviewLock).where(ReviewLock.key_id == key_id, ReviewLock.text_id != but))


async def add_decision(connection: AsyncConnection, **row: Any) -> int:
    return int(await connection.scalar(insert(Decided).values(row).returning(Decided.id)) or 0)


async def wanting_second(connection: AsyncConnection, text_id: UUID, key_id: int) -> Any:
    """Another reviewer's decision about the text that asks for a second opinion; None where there is none."""
    query = select(Decided).where(Decided.text_id == text_id, Decided.wants_second, Decided.key_id != key_id)
    return (await connection.execute(query.with_for_update())).first()


async def set_second(connection: AsyncConnection, decision_id: int, *, wants: bool, overturned: bool) -> None:
    change = update(Decided).where(Decided.id == decision_id)
    await connection.execute(change.values(wants_second=wants, overturned=overturned))


async def close_seconds(connection: AsyncConnection, text_id: UUID) -> None:
    """No second opinion is asked any more on a text that was decided anew."""
    await connection.execute(
        update(Decided).where(Decided.text_id == text_id, Decided.wants_second).values(wants_second=False)
    )


async def last_decision(connection: AsyncConnection, key_id: int, text_id: UUID | None = None) -> Any:
    """The reviewer's latest decision that is not undone, of one text where it is given."""
    query = select(Decided).where(Decided.key_id == key_id, Decided.undone_at.is_(None))
    if text_id is not None:
        query = query.where(Decided.text_id == text_id)
    return (await connection.execute(query.order_by(Decided.id.desc()).limit(1).with_for_update())).one_or_none()


async def mark_undone(connection: AsyncConnection, decision_id: int) -> None:
    change = update(Decided).where(Decided.id == decision_id)
    await connection.execute(change.values(undone_at=func.now(), wants_second=False))


async def decisions(
    connection: AsyncConnection, after: int, limit: int, *, since: datetime | None, advertiser: str | None
) -> Sequence[Any]:
    """Decisions that stand, with the briefs that are still there, in the order in which they were made."""
    query = (
        select(Decided, BriefRow.body)
        .join(BriefRow, BriefRow.digest == Decided.brief_digest)
        .where(Decided.id > after, Decided.undone_at.is_(None))
        .order_by(Decided.id)
        .limit(limit)
    )
    if since is not None:
        query = query.where(Decided.decided_at >= since)
    if advertiser is not None:
        query = query.where(BriefRow.body["ad"]["advertiser"].astext == advertiser)
    return (await connection.execute(query)).all()
