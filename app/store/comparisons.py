"""Blind comparisons: which texts can be compared, the pairs, and the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from app.store.database import AsyncConnection
from app.store.models.comparisons import Comparison, ComparisonPair, ComparisonVerdict
from app.store.models.creatives import BriefRow
from app.store.statements import statement

Pair, Verdict = ComparisonPair, ComparisonVerdict


async def comparable(
    connection: AsyncConnection, policy: str, baseline: str, *, seed: str, locale: str | None, limit: int
) -> Sequence[Any]:
    values = {"policy": policy, "baseline": baseline, "seed": seed, "locale": locale, "limit": limit}
    return (await connection.execute(text(statement("comparable_texts")), values)).all()


async def add(connection: AsyncConnection, pairs: Sequence[dict[str, Any]], **values: Any) -> Any:
    """The new row, with its pairs."""
    row = (await connection.execute(insert(Comparison).values(**values).returning(*Comparison.__table__.c))).one()
    await connection.execute(insert(Pair), [pair | {"comparison_id": row.id} for pair in pairs])
    return row


async def find(connection: AsyncConnection, comparison_id: int) -> Any:
    """The row; None where there is none."""
    return (await connection.execute(select(Comparison).where(Comparison.id == comparison_id))).one_or_none()


async def latest(
    connection: AsyncConnection, key_id: int, limit: int, comparison_id: int | None = None
) -> Sequence[Any]:
    """Comparisons, newest first, or the named one, with the number of pairs and how many of them this key judged."""
    mine = (
        select(func.count())
        .select_from(Verdict)
        .join(Pair, Pair.id == Verdict.pair_id)
        .where(Pair.comparison_id == Comparison.id, Verdict.key_id == key_id)
    )
    pairs = select(func.count()).select_from(Pair).where(Pair.comparison_id == Comparison.id)
    columns = (pairs.scalar_subquery().label("pairs"), mine.scalar_subquery().label("mine"))
    statement = select(Comparison, *columns).order_by(Comparison.id.desc()).limit(limit)
    if comparison_id is not None:
        statement = statement.where(Comparison.id == comparison_id)
    return (await connection.execute(statement)).all()


async def open_pairs(connection: AsyncConnection, comparison_id: int, key_id: int) -> Sequence[Any]:
    """The pairs that this key has not judged, with their briefs."""
    judged = select(Verdict.pair_id).where(Verdict.key_id == key_id)
    statement = (
        select(Pair, BriefRow.body.label("brief"))
        .join(BriefRow, BriefRow.digest == Pair.brief_digest)
        .where(Pair.comparison_id == comparison_id, Pair.id.not_in(judged))
    )
    return (await connection.execute(statement)).all()


async def find_pair(connection: AsyncConnection, comparison_id: int, pair_id: UUID) -> Any:
    statement = select(Pair).where(Pair.comparison_id == comparison_id, Pair.id == pair_id)
    return (await connection.execute(statement)).one_or_none()


async def set_verdict(connection: AsyncConnection, **values: Any) -> None:
    """A second verdict of the same key about the same pair replaces the first."""
    changed = {"verdict": values["verdict"], "annotator": values["annotator"], "judged_at": func.now()}
    statement = (
        upsert(Verdict).values(**values).on_conflict_do_update(index_elements=["pair_id", "key_id"], set_=changed)
    )
    await connection.execute(statement)


async def drop_last_verdict(connection: AsyncConnection, comparison_id: int, key_id: int) -> UUID | None:
    """Delete this key's latest verdict; the pair's id, or None where there is none."""
    last = (
        select(Verdict.pair_id)
        .join(Pair, Pair.id == Verdict.pair_id)
        .where(Pair.comparison_id == comparison_id, Verdict.key_id == key_id)
        .order_by(Verdict.judged_at.desc(), Verdict.pair_id)
        .limit(1)
        .scalar_subquery()
    )
    statement = delete(Verdict).where(Verdict.key_id == key_id, Verdict.pair_id == last).returning(Verdict.pair_id)
    return (await connection.execute(statement)).scalar_one_or_none()


async def pairs_of(connection: AsyncConnection, comparison_id: int) -> Sequence[Any]:
    return (await connection.execute(select(Pair).where(Pair.comparison_id == comparison_id).order_by(Pair.id))).all()


async def verdicts_of(connection: AsyncConnection, comparison_id: int) -> Sequence[Any]:
    statement = (
        select(Verdict)
        .join(Pair, Pair.id == Verdict.pair_id)
        .where(Pair.comparison_id == comparison_id)
        .order_by(Verdict.key_id, Verdict.pair_id)
    )
    return (await connection.execute(statement)).all()
