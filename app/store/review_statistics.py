"""How the review goes: what waits, how fast it is decided, and how often rules and reviewers are overruled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from app.store.database import AsyncConnection

_WAITING = text("""
    SELECT kind, count(*) AS texts
    FROM texts CROSS JOIN jsonb_array_elements_text(held_for) AS kind
    WHERE state = 'review' AND (CAST(:advertiser AS text) IS NULL OR advertiser = :advertiser)
    GROUP BY kind ORDER BY kind""")
_TOTALS = text("""
    SELECT
        (SELECT count(*) FROM texts
         WHERE state = 'review' AND (CAST(:advertiser AS text) IS NULL OR advertiser = :advertiser)) AS waiting,
        (SELECT count(*) FROM review_decisions WHERE wants_second AND key_id <> :key_id) AS second_opinions,
        count(*) FILTER (WHERE decided_at >= :today) AS today,
        count(*) FILTER (WHERE decided_at >= :today AND key_id = :key_id) AS mine_today,
        count(*) AS decided,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM decided_at - opened_at)) AS p50_s,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM decided_at - opened_at)) AS p95_s
    FROM review_decisions WHERE decided_at >= :since AND undone_at IS NULL""")
_REVIEWERS = text("""
    SELECT reviewer, count(*) AS decided,
           count(*) FILTER (WHERE decision = 'approve') AS approved,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM decided_at - opened_at)) AS p50_s,
           count(*) FILTER (WHERE checked) AS seconds, count(*) FILTER (WHERE overturned) AS overturned
    FROM (
        SELECT *, EXISTS (
            SELECT FROM review_decisions second
            WHERE second.second_of = review_decisions.id AND second.undone_at IS NULL
        ) AS checked
        FROM review_decisions WHERE decided_at >= :since AND undone_at IS NULL AND second_of IS NULL
    ) firsts
    GROUP BY reviewer ORDER BY decided DESC, reviewer""")
_HELD = """
    SELECT found ->> 'rule' AS rule, count(DISTINCT review_decisions.id) AS decided,
           count(DISTINCT review_decisions.id) FILTER (WHERE decision = 'approve') AS overruled
    FROM review_decisions CROSS JOIN jsonb_array_elements(findings) AS found
    WHERE decided_at >= :since AND undone_at IS NULL AND found ->> 'severity' = 'review'
    GROUP BY rule"""
_HELD_RULES = text(f"{_HELD} ORDER BY decided DESC, rule")
_RULES = text(f"""
    WITH fired AS (
        SELECT found ->> 'rule' AS rule, count(DISTINCT texts.id) AS fired
        FROM texts CROSS JOIN jsonb_array_elements(findings) AS found
        WHERE created_at >= :since GROUP BY rule
    ), held AS ({_HELD})
    SELECT rule, coalesce(fired, 0) AS fired, coalesce(decided, 0) AS decided, coalesce(overruled, 0) AS overruled
    FROM fired FULL JOIN held USING (rule)
    ORDER BY fired DESC, rule""")


class HeldRule(NamedTuple):
    """One rule that held texts for review: decisions about them, and how many approved the text as it was."""

    rule: str
    decided: int
    overruled: int


class RuleUse(NamedTuple):
    """One rule: texts kept with a finding of it, and what reviewers made of those that it held for review."""

    rule: str
    fired: int  # texts stored since; what a rule blocks before it is stored is not among them
    decided: int  # decisions on texts that it held
    overruled: int  # decisions that approved the text unchanged


class ReviewerUse(NamedTuple):
    """One reviewer's first decisions."""

    reviewer: str
    decided: int
    approved: int
    p50_s: float | None
    seconds: int  # decisions that got a second opinion
    overturned: int  # second opinions that differ from the first


async def held_rules(connection: AsyncConnection, since: datetime) -> list[HeldRule]:
    """The rules that held the texts decided since then."""
    return [HeldRule(*row) for row in await connection.execute(_HELD_RULES, {"since": since})]


async def rule_uses(connection: AsyncConnection, since: datetime) -> list[RuleUse]:
    """How often each rule fired and was overruled since then, most frequent first."""
    return [RuleUse(*row) for row in await connection.execute(_RULES, {"since": since})]


async def reviewer_uses(connection: AsyncConnection, since: datetime) -> list[ReviewerUse]:
    return [ReviewerUse(*row) for row in await connection.execute(_REVIEWERS, {"since": since})]


async def totals(
    connection: AsyncConnection, key_id: int, *, advertiser: str | None, today: datetime, since: datetime
) -> Any:
    values = {"key_id": key_id, "advertiser": advertiser, "today": today, "since": since}
    return (await connection.execute(_TOTALS, values)).one()


async def waiting(connection: AsyncConnection, advertiser: str | None) -> Sequence[Any]:
    """(kind, texts) of what waits; a text may wait for two reasons."""
    return (await connection.execute(_WAITING, {"advertiser": advertiser})).all()
