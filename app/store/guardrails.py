"""Data of the guardrails: compliant raw candidates, served texts with violations, and the latest texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text

from adtext.brief import AdBrief, AdText
from app.store.database import AsyncConnection
from app.store.texts import text_of

_COMPLIANCE = text("""
    SELECT version, rules_version, CAST(sum(candidates) AS bigint) AS candidates,
           CAST(sum(compliant) AS bigint) AS compliant, CAST(sum(judged) AS bigint) AS judged,
           CAST(sum(passed) AS bigint) AS passed
    FROM candidate_counts JOIN policies ON policies.id = policy_id
    WHERE version = ANY(:versions) AND day BETWEEN :first AND :last
    GROUP BY version, rules_version ORDER BY version, rules_version""")
_VIOLATIONS = text("""
    SELECT arm, count(*) AS shown FROM exposures JOIN texts ON texts.id = text_id
    WHERE state = 'rejected' AND (reviewed_by IS NOT NULL OR findings @> '[{"severity": "block"}]')
          AND phase_id = :phase AND impression_at <= :as_of AND NOT shifted
    GROUP BY arm""")
_LATEST = text("""
    SELECT DISTINCT ON (texts.created_at, texts.brief_digest) title, description, description_2, body
    FROM texts JOIN policies ON policies.id = policy_id JOIN briefs ON briefs.digest = brief_digest
    WHERE version = :version AND state = 'approved' AND texts.created_at <= :as_of
    ORDER BY texts.created_at DESC, texts.brief_digest LIMIT :most""")


@dataclass(frozen=True, slots=True)
class Compliance:
    """Raw candidates of a policy under one version of the rules, before any filter (eq. 11)."""

    version: str
    rules_version: str
    candidates: int
    compliant: int
    judged: int = 0  # texts that the judge looked at
    passed: int = 0


async def compliance(connection: AsyncConnection, versions: Sequence[str], first: date, last: date) -> list[Compliance]:
    """By policy version and rules version, over the days from first to last."""
    rows: Any = await connection.execute(_COMPLIANCE, {"versions": list(versions), "first": first, "last": last})
    return [Compliance(**row._mapping) for row in rows]


async def served_violations(connection: AsyncConnection, phase_id: int, as_of: datetime) -> dict[int, int]:
    """Impressions, by arm, of texts in which a reviewer or later rules found a violation."""
    return {row.arm: row.shown for row in await connection.execute(_VIOLATIONS, {"phase": phase_id, "as_of": as_of})}


async def latest_texts(
    connection: AsyncConnection, version: str, as_of: datetime, most: int
) -> list[tuple[AdBrief, AdText]]:
    """A policy's latest approved texts with their briefs, one text per brief and time."""
    rows = await connection.execute(_LATEST, {"version": version, "as_of": as_of, "most": most})
    return [(AdBrief.model_validate(row.body), text_of(row)) for row in rows]
