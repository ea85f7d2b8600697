"""Texts, their briefs, and the counts of raw candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from adtext.brief import AdBrief, AdText
from adtext.checks import Finding
from app.models.creatives import BriefRow, TextRow
from app.models.policies import CandidateCount
from app.store.database import AsyncConnection
from app.store.registry import CHANNEL

HEAD_TEXTS = 64  # texts of a key that are held in memory

# What a miss executes is made once: building a statement costs SQLAlchemy more than executing it.
_HEAD = (
    select(
        TextRow.id, TextRow.title, TextRow.description, TextRow.description_2, TextRow.policy_id, TextRow.origin,
        TextRow.rules_version, TextRow.created_at,
    )
    .where(TextRow.pool_key == bindparam("pool_key"), TextRow.state == "approved")
    .order_by(TextRow.score.desc(), TextRow.created_at, TextRow.id)
    .limit(HEAD_TEXTS)
)  # fmt: skip
_ADD_BRIEF = insert(BriefRow).on_conflict_do_nothing()
_text = insert(TextRow)
_ADD_TEXT = _text.on_conflict_do_update(
    index_elements=["id"], set_={"rules_version": _text.excluded.rules_version, "findings": _text.excluded.findings}
)
_count = insert(CandidateCount)
_ADD_COUNT = _count.on_conflict_do_update(
    index_elements=["policy_id", "rules_version", "day"],
    set_={
        "candidates": CandidateCount.candidates + _count.excluded.candidates,
        "compliant": CandidateCount.compliant + _count.excluded.compliant,
    },
)


@dataclass(frozen=True, slots=True)
class NewText:
    """A vetted text on its way to the table."""

    id: bytes
    text: AdText
    origin: str
    state: str
    score: float
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one writing call brought: texts of one pool key with their shared provenance, and how many raw candidates complied."""

    pool_key: bytes
    brief: AdBrief
    brief_digest: bytes
    platform: str
    spec_version: str
    rules_version: str
    policy_id: int
    texts: Sequence[NewText]
    prompt_hash: str | None = None
    seed: int | None = None
    candidates: int = 0
    compliant: int = 0


async def save_batches(connection: AsyncConnection, batches: list[Batch]) -> list[None]:
    """Write briefs, texts and counts of several batches. A text that is already there stays as it is, its rules version renewed."""
    briefs = {batch.brief_digest: batch.brief for batch in batches if batch.texts}
    if briefs:
        rows = [
            {"digest": digest, "body": brief.model_dump(mode="json", exclude={"ad": {"approved"}})}
            for digest, brief in sorted(briefs.items())
        ]
        await connection.execute(_ADD_BRIEF, rows)
    texts = {row["id"]: row for batch in batches for row in _text_rows(batch)}
    if texts:
        # rows in one order everywhere: two transactions that meet the same rows cannot deadlock
        await connection.execute(_ADD_TEXT, [texts[key] for key in sorted(texts)])
    counts: dict[tuple[int, str], list[int]] = {}
    for batch in batches:
        if batch.candidates:
            total = counts.setdefault((batch.policy_id, batch.rules_version), [0, 0])
            total[0] += batch.candidates
            total[1] += batch.compliant
    today = datetime.now(UTC).date()
    for (policy_id, version), (candidates, compliant) in sorted(counts.items()):
        values = {"policy_id": policy_id, "rules_version": version, "day": today, "candidates": candidates, "compliant": compliant}
        await connection.execute(_ADD_COUNT, values)
    return [None] * len(batches)


def _text_rows(batch: Batch) -> list[dict[str, Any]]:
    ad = batch.brief.ad
    shared = {
        "pool_key": batch.pool_key,
        "policy_id": batch.policy_id,
        "brief_digest": batch.brief_digest,
        "advertiser": ad.advertiser,
        "ad_id": ad.id,
        "industry": ad.industry,
        "locale": batch.brief.locale,
        "platform": batch.platform,
        "spec_version": batch.spec_version,
        "rules_version": batch.rules_version,
        "prompt_hash": batch.prompt_hash,
        "seed": batch.seed,
    }
    return [
        {
            "id": UUID(bytes=new.id),
            "origin": new.origin,
            "state": new.state,
            "title": new.text.title,
            "description": new.text.description,
            "description_2": new.text.description_2,
            "score": new.score,
            "findings": [asdict(finding) for finding in new.findings],
            **shared,
        }
        for new in batch.texts
    ]


async def approved_texts(connection: AsyncConnection, pool_key: bytes) -> Sequence[Any]:
    """The key's approved texts, best first."""
    return (await connection.execute(_HEAD, {"pool_key": pool_key})).all()


async def outdated_texts(connection: AsyncConnection, rules_version: str, limit: int) -> Sequence[Any]:
    """Pooled texts that have not passed the rules in force, with the briefs they were written for. Locked: replicas share the work."""
    statement = (
        select(TextRow, BriefRow.body)
        .outerjoin(BriefRow, BriefRow.digest == TextRow.brief_digest)
        .where(TextRow.state == "approved", TextRow.rules_version != rules_version)
        .limit(limit)
        .with_for_update(of=TextRow, skip_locked=True)
    )
    return (await connection.execute(statement)).all()


async def mark_checked(connection: AsyncConnection, text_id: UUID, rules_version: str, *, state: str, findings: Sequence[Finding]) -> None:
    changed = {"rules_version": rules_version, "state": state, "findings": [asdict(finding) for finding in findings]}
    await connection.execute(update(TextRow).where(TextRow.id == text_id).values(changed))


async def approved_count(connection: AsyncConnection, pool_key: bytes) -> int:
    statement = select(func.count()).select_from(TextRow).where(TextRow.pool_key == pool_key, TextRow.state == "approved")
    return int((await connection.execute(statement)).scalar_one())


async def announce_pool(connection: AsyncConnection, pool_key: bytes) -> None:
    """Tell every replica, when this transaction commits, to read this key's head again."""
    await connection.execute(text("SELECT pg_notify(:channel, :topic)"), {"channel": CHANNEL, "topic": f"pool:{pool_key.hex()}"})


def text_of(row: Any) -> AdText:
    """The ad text of a row of `texts`."""
    return AdText(title=row.title, description=row.description, description_2=row.description_2)
