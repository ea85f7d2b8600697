"""The reviewer's desk: which text comes next, who has it open, how the review goes, and what it teaches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.problems import Problem
from app.services.compliance.review import Reviewer
from app.store import review_statistics, reviews
from app.store.database import AsyncConnection, Database
from app.store.review_statistics import HeldRule, ReviewerUse
from app.store.reviews import Wanted

LOCK = timedelta(minutes=10)  # how long a text stays with a reviewer who does nothing
STATISTICS = timedelta(days=30)
BATCH = 500


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of now and today, and of the last STATISTICS: see app.store.review_statistics."""

    totals: Any
    waiting: Sequence[Any]
    rules: list[HeldRule]
    reviewers: list[ReviewerUse]


async def open_next(connection: AsyncConnection, wanted: Wanted, reviewer: Reviewer) -> Any:
    """Open the text that has waited longest, closing what the reviewer had open; None where nothing waits."""
    wanted = replace(wanted, advertiser=reviewer.key.advertiser)
    for row in await reviews.queue(connection, reviewer.key.id, wanted, 20):
        if await _open(connection, row.id, reviewer):
            return row
    return None


async def open_one(connection: AsyncConnection, text_id: UUID, reviewer: Reviewer) -> Any:
    """Open this text. Raises Problem where it does not wait for this reviewer, or another has it open."""
    wanted = Wanted(advertiser=reviewer.key.advertiser, text_id=text_id)
    rows = await reviews.queue(connection, reviewer.key.id, wanted, 1)
    if rows and await _open(connection, text_id, reviewer):
        return rows[0]
    held = await reviews.holder(connection, text_id)
    if held is not None and held.key_id != reviewer.key.id:
        raise Problem(409, "locked", f"{held.reviewer} has this text open: take another, or wait until it is closed")
    raise Problem(404, "not_waiting", "no text with that id waits for you", field="text_id", value=text_id)


async def _open(connection: AsyncConnection, text_id: UUID, reviewer: Reviewer) -> bool:
    await reviews.unlock_all(connection, reviewer.key.id, but=text_id)
    return await reviews.lock(connection, text_id, reviewer.key.id, reviewer.name, LOCK)


async def queued(connection: AsyncConnection, wanted: Wanted, reviewer: Reviewer, limit: int) -> Sequence[Any]:
    """The texts that wait for this reviewer, in the order in which they are shown."""
    return await reviews.queue(connection, reviewer.key.id, replace(wanted, advertiser=reviewer.key.advertiser), limit)


async def statistics(connection: AsyncConnection, reviewer: Reviewer) -> Statistics:
    now = datetime.now(UTC)
    today, since = now.replace(hour=0, minute=0, second=0, microsecond=0), now - STATISTICS
    advertiser = reviewer.key.advertiser
    return Statistics(
        await review_statistics.totals(connection, reviewer.key.id, advertiser=advertiser, today=today, since=since),
        await review_statistics.waiting(connection, advertiser),
        # what other advertisers' texts break, and who decides about them, is not theirs to know
        [] if advertiser else await review_statistics.held_rules(connection, since),
        [] if advertiser else await review_statistics.reviewer_uses(connection, since),
    )


async def exported(
    database: Database, *, since: datetime | None, advertiser: str | None
) -> AsyncIterator[list[dict[str, Any]]]:
    """Decisions that stand, in batches, as examples for a judge. Those whose brief is past retention are left out."""
    after = 0
    while True:
        async with database.begin() as connection:
            rows = await reviews.decisions(connection, after, BATCH, since=since, advertiser=advertiser)
        if not rows:
            return
        after = rows[-1].id
        yield [_example(row) for row in rows]


def _example(row: Any) -> dict[str, Any]:
    return {
        "decision_id": row.id,
        "decided_at": row.decided_at.isoformat(),
        "reviewer": row.reviewer,
        "text_id": str(row.text_id),
        "brief": row.body,
        "locale": row.locale,
        "title": row.title,
        "description": row.description,
        "description_2": row.description_2,
        "verdict": {"approve": "good", "edit": "edited"}.get(row.decision, row.reason or "other"),
        "note": row.note,
        "second_of": row.second_of,
        "overturned": row.overturned,
        "edited_id": str(row.edited_id) if row.edited_id else None,
        "held_for": row.held_for,
        "findings": row.findings,
    }
