"""Texts, their briefs, and the counts of raw candidates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, literal, select, text, update

from adtext.brief import AdBrief, AdText, products_of
from adtext.checks import Finding
from adtext.judge import Judgement
from app.core.contract import HeldFor, TextState
from app.store.database import AsyncConnection, Direct
from app.store.models.creatives import BriefRow, TextRow
from app.store.models.rules import AdvertiserRulesRow
from app.store.registry import CHANNEL
from app.store.statements import statement

HEAD_TEXTS = 64  # texts of a key that are held in memory

# The statements of a miss are sent with psycopg, for many keys at once: under load their cost limits the capacity of
# the service.
_HEADS = """
    SELECT pool_key, id, title, description, description_2, policy_id, origin, rules_version, created_at FROM texts
    WHERE pool_key = ANY(%s) AND state = 'approved' ORDER BY score DESC, created_at, id"""
_KEPT = "SELECT title, description, description_2 FROM texts WHERE pool_key = %s AND state <> 'retired'"
_TEXT_COLUMNS = {
    "id": "uuid",
    "pool_key": "bytea",
    "policy_id": "bigint",
    "origin": "text",
    "state": "text",
    "title": "text",
    "description": "text",
    "description_2": "text",
    "brief_digest": "bytea",
    "advertiser": "text",
    "ad_id": "text",
    "industry": "text",
    "locale": "text",
    "platform": "text",
    "spec_version": "text",
    "rules_version": "text",
    "prompt_hash": "text",
    "seed": "bigint",
    "score": "float8",
    "findings": "jsonb",
    "held_for": "jsonb",
    "products": "jsonb",
    "judge": "text",
    "judgement": "jsonb",
}
_SAVE = statement("save_texts").format(
    columns=", ".join(_TEXT_COLUMNS), arrays=", ".join(f"%s::{kind}[]" for kind in _TEXT_COLUMNS.values())
)


@dataclass(frozen=True, slots=True)
class NewText:
    """A checked text that will be stored."""

    id: bytes
    text: AdText
    origin: str
    state: TextState
    score: float
    findings: Sequence[Finding]
    held_for: Sequence[HeldFor] = ()  # why it waits for a person
    judge: str | None = None  # the version of the judge that was asked
    judgement: Judgement | None = None


class PoolRow(NamedTuple):
    """An approved text as a pool head needs it."""

    id: UUID
    title: str
    description: str
    description_2: str | None
    policy_id: int
    origin: str
    rules_version: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of one call of a writer: texts of one pool key with their shared provenance, and the counts of raw and
    compliant candidates.
    """

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
    judged: int = 0
    passed: int = 0  # by the judge


async def save_batches(connection: Direct, batches: list[Batch]) -> list[frozenset[bytes]]:
    """Write briefs, texts and counts of several batches with one statement; for each batch, the ids of its texts that
    may be served.

    A text that exists already keeps its state, so that a rejected text stays rejected; its rules version is updated. A
    retired text was not rejected: it becomes active again.
    """
    briefs = {batch.brief_digest: batch.brief for batch in batches if batch.texts}
    texts = {row[0]: row for batch in batches for row in _text_rows(batch)}
    # rows in one order everywhere: two statements that meet the same rows cannot deadlock
    digests = sorted(briefs)
    bodies = [briefs[digest].model_dump_json(exclude=_APPROVED) for digest in digests]
    counts = _columns(_counts(batches), 6)
    async with connection.cursor() as cursor:
        await cursor.execute(
            _SAVE, [digests, bodies, *counts, *_columns([texts[key] for key in sorted(texts)], len(_TEXT_COLUMNS))]
        )
        servable = {text_id.bytes for text_id, state in await cursor.fetchall() if state == TextState.APPROVED}
    return [frozenset(new.id for new in batch.texts if new.id in servable) for batch in batches]


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """The columns of the rows: `width` columns, also without rows."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


_APPROVED: Any = {"ad": {"approved"}}  # the advertiser's approved texts are not used in writing


def _text_rows(batch: Batch) -> Iterator[tuple[Any, ...]]:
    """In the order of _TEXT_COLUMNS."""
    brief, ad = batch.brief, batch.brief.ad
    products = json.dumps(sorted(products_of(brief)))
    for new in batch.texts:
        yield (
            UUID(bytes=new.id),
            batch.pool_key,
            batch.policy_id,
            new.origin,
            new.state,
            new.text.title,
            new.text.description,
            new.text.description_2,
            batch.brief_digest,
            ad.advertiser,
            ad.id,
            ad.industry,
            brief.locale,
            batch.platform,
            batch.spec_version,
            batch.rules_version,
            batch.prompt_hash,
            batch.seed,
            new.score,
            json.dumps([asdict(finding) for finding in new.findings], ensure_ascii=False),
            json.dumps(list(new.held_for)),
            products,
            new.judge,
            json.dumps(asdict(new.judgement)) if new.judgement else None,
        )


def _counts(batches: Sequence[Batch]) -> list[tuple[Any, ...]]:
    """(policy, rules version, candidates, compliant, judged, passed), summed: one statement may touch a row once."""
    totals: dict[tuple[int, str], tuple[int, ...]] = {}
    for batch in batches:
        if batch.candidates:
            counted = batch.policy_id, batch.rules_version.partition("+")[0]  # whatever the advertiser's own rules
            more = batch.candidates, batch.compliant, batch.judged, batch.passed
            totals[counted] = tuple(map(sum, zip(totals.get(counted, (0,) * len(more)), more, strict=True)))
    return [(*key, *total) for key, total in sorted(totals.items())]


async def pool_texts(connection: Direct, keys: list[bytes]) -> list[list[PoolRow]]:
    """Each key's approved texts, best first, at most HEAD_TEXTS."""
    found: dict[bytes, list[PoolRow]] = {key: [] for key in keys}
    async with connection.cursor() as cursor:
        await cursor.execute(_HEADS, (list(found),))
        for key, *row in await cursor.fetchall():
            if len(found[key]) < HEAD_TEXTS:
                found[key].append(PoolRow(*row))
    return [found[key] for key in keys]


async def kept_texts(connection: Direct, pool_key: bytes) -> list[AdText]:
    """All texts of the key that are not retired: a retired text may be written again."""
    async with connection.cursor() as cursor:
        await cursor.execute(_KEPT, (pool_key,))
        return [
            AdText(title=title, description=first, description_2=second)
            for title, first, second in await cursor.fetchall()
        ]


async def withheld_texts(connection: AsyncConnection, pool_key: bytes) -> list[AdText]:
    """The texts of the key that may not be served: rejected, or waiting for a reviewer."""
    statement = select(TextRow.title, TextRow.description, TextRow.description_2).where(
        TextRow.pool_key == pool_key, TextRow.state.in_((TextState.REJECTED, TextState.REVIEW))
    )
    return [text_of(row) for row in await connection.execute(statement)]


async def outdated_texts(connection: AsyncConnection, rules_version: str, limit: int) -> Sequence[Any]:
    """Texts that have not passed the rules in force for their advertiser (`expected`), with the briefs they were
    written for: those of the pool, and those that earlier rules alone took from it. Locked: replicas share the work.
    """
    own = func.coalesce(literal("+") + func.nullif(AdvertiserRulesRow.digest, ""), "")
    expected = (literal(rules_version) + own).label("expected")
    blocked = TextRow.findings.contains([{"severity": "block"}])
    statement = (
        select(TextRow, BriefRow.body, expected)
        .outerjoin(BriefRow, BriefRow.digest == TextRow.brief_digest)
        .outerjoin(
            AdvertiserRulesRow,
            (AdvertiserRulesRow.advertiser == TextRow.advertiser) & AdvertiserRulesRow.in_force,
        )
        .where(
            (TextRow.state == TextState.APPROVED)
            | ((TextRow.state == TextState.REJECTED) & TextRow.reviewed_by.is_(None) & blocked),
            TextRow.rules_version != expected,
        )
        .limit(limit)
        .with_for_update(of=TextRow, skip_locked=True)
    )
    return (await connection.execute(statement)).all()


async def mark_checked(
    connection: AsyncConnection, text_id: UUID, rules_version: str, *, state: TextState, findings: Sequence[Finding]
) -> None:
    changed: dict[str, Any] = {
        "rules_version": rules_version,
        "state": state,
        "findings": [asdict(finding) for finding in findings],
    }
    if state == TextState.REVIEW:
        changed["held_for"] = [HeldFor.FINDING]
    await connection.execute(update(TextRow).where(TextRow.id == text_id).values(changed))


async def approved_count(connection: AsyncConnection, pool_key: bytes) -> int:
    statement = (
        select(func.count())
        .select_from(TextRow)
        .where(TextRow.pool_key == pool_key, TextRow.state == TextState.APPROVED)
    )
    return int((await connection.execute(statement)).scalar_one())


async def announce_pool(connection: AsyncConnection, pool_key: bytes) -> None:
    """Notify every replica, when this transaction commits, to read the head of this key again."""
    await connection.execute(
        text("SELECT pg_notify(:channel, :topic)"), {"channel": CHANNEL, "topic": f"pool:{pool_key.hex()}"}
    )


def text_of(row: Any) -> AdText:
    """The ad text of a row of `texts`."""
    return AdText(title=row.title, description=row.description, description_2=row.description_2)
