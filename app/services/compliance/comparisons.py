"""Blind comparisons: drawing the pairs, planting those with a known answer, and the annotators' verdicts.

An annotator sees a brief and two texts, never a policy. Side and order are drawn for each annotator by the comparison's
seed, which no page shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Any, Literal
from uuid import UUID

from adtext.brief import AdBrief, AdText
from app.core.problems import Problem
from app.store import comparisons as store
from app.store.audit import record
from app.store.database import AsyncConnection
from app.store.policies import find_policy
from app.store.registry import Key
from app.store.texts import text_of
from app.store.withdrawals import Withdrawn
from trainer.judge.corruptions import CLEAR, UNREADABLE, UNTRUE, corrupt
from trainer.judge.source import Source

PAIRS, PLANTED = 300, 20  # pairs of one comparison, and planted pairs of each kind (RELATE §4.3)
SPARE = 200  # briefs beyond the pairs, to plant from
SIDES: dict[str, str] = {"left": "first", "same": "same", "right": "second"}
Choice = Literal["left", "same", "right"]
_TURNED = {"first": "second", "second": "first", "same": "same"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which comparison to draw."""

    policy: str
    baseline: str
    pairs: int = PAIRS
    planted: int = PLANTED  # planted pairs per kind; the kinds: one side broken, both sides the same
    locale: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class OpenPair:
    """A pair as one annotator sees it."""

    id: UUID
    brief: dict[str, Any]
    locale: str
    platform: str
    left: AdText
    right: AdText


async def create(connection: AsyncConnection, wanted: Wanted, withdrawn: Withdrawn, actor: str) -> Any:
    """Draw the pairs from what the two policies serve for the same briefs, one per brief; returns the row.

    Fewer pairs than wanted are drawn where fewer briefs have texts of both. Raises Problem where none has.
    """
    if wanted.policy == wanted.baseline:
        raise Problem(422, "same_policy", "compare two different policies", field="baseline", value=wanted.baseline)
    for field, version in (("policy", wanted.policy), ("baseline", wanted.baseline)):
        if await find_policy(connection, version) is None:
            detail = f"there is no policy version {version!r}: GET /policies lists them"
            raise Problem(422, "unknown_policy", detail, field=field, value=version)
    seed = os.urandom(16)
    rows = await store.comparable(
        connection,
        wanted.policy,
        wanted.baseline,
        seed=seed.hex(),
        locale=wanted.locale,
        limit=wanted.pairs + SPARE,
    )
    served = [row for row in rows if not _withdrawn(row, wanted, withdrawn)]
    pairs = [_pair(row, text_of(row), _other(row)) for row in served[: wanted.pairs]]
    if not pairs:
        raise Problem(
            409,
            "nothing_to_compare",
            f"no brief has approved texts of both {wanted.policy} and {wanted.baseline}: prefill the same briefs with "
            "both (`relate prefill briefs.jsonl --policy VERSION`)",
        )
    # briefs that no pair shows come first, so that an annotator meets few of them twice
    spare = [*served[wanted.pairs :], *served[: wanted.pairs]]
    pairs += planted(spare, wanted.planted, Random(seed))
    named = {"policy": wanted.policy, "baseline": wanted.baseline}
    row = await store.add(connection, pairs, name=wanted.name or "Comparison", seed=seed, actor=actor, **named)
    await record(connection, actor, "comparison.create", f"comparison:{row.id}", pairs=len(pairs), **named)
    return row


def planted(rows: Sequence[Any], number: int, random: Random) -> list[dict[str, Any]]:
    """Pairs with a known answer: up to `number` with a broken side, and as many with one text on both sides."""
    broken = list(_broken(rows, number, random))
    same = [_pair(row, text_of(row), text_of(row), expected="same") for row in list(reversed(rows))[:number]]
    return broken + same


def _broken(rows: Sequence[Any], number: int, random: Random) -> Iterator[dict[str, Any]]:
    for row in rows:
        if number == 0:
            return
        good = text_of(row)
        if (bad := _spoilt(row, good, rows, random)) is not None:
            number -= 1
            yield _pair(row, good, bad, expected="first")


def _spoilt(row: Any, good: AdText, rows: Sequence[Any], random: Random) -> AdText | None:
    """The text made false or unreadable; outside English, with the description of another advertiser."""
    brief = AdBrief.model_validate(row.brief)
    foreign = [other for other in rows if other.advertiser != row.advertiser and other.locale == row.locale]
    if brief.language == "en":
        briefs = [AdBrief.model_validate(other.brief) for other in foreign[:20]]
        kinds = [kind for kind in (*(UNTRUE if briefs else {}), *UNREADABLE) if kind in CLEAR]
        random.shuffle(kinds)
        source = Source(brief, good, briefs)
        return next((bad for kind in kinds if (bad := corrupt(kind, source, random)) is not None), None)
    others = [other.description for other in foreign if other.description != good.description]
    return good.model_copy(update={"description": random.choice(others)}) if others else None


def _withdrawn(row: Any, wanted: Wanted, withdrawn: Withdrawn) -> bool:
    return withdrawn.holds(row.advertiser, text_of(row), wanted.policy) or withdrawn.holds(
        row.advertiser, _other(row), wanted.baseline
    )


def _other(row: Any) -> AdText:
    return AdText(title=row.other_title, description=row.other_description, description_2=row.other_description_2)


def _pair(row: Any, first: AdText, second: AdText, expected: str | None = None) -> dict[str, Any]:
    return {
        "id": UUID(bytes=os.urandom(16), version=4),
        "brief_digest": row.brief_digest,
        "platform": row.platform,
        "locale": row.locale,
        "first": first.model_dump(),
        "second": second.model_dump(),
        "expected": expected,
    }


# ---- annotating


async def found(connection: AsyncConnection, comparison_id: int) -> Any:
    row = await store.find(connection, comparison_id)
    if row is None:
        raise Problem(
            404, "unknown_comparison", "no comparison has this id", field="comparison_id", value=comparison_id
        )
    return row


async def next_pair(connection: AsyncConnection, comparison_id: int, key: Key) -> OpenPair | None:
    """The next pair of this annotator; None where all are judged."""
    comparison = await found(connection, comparison_id)
    _of_all(key)
    waiting = await store.open_pairs(connection, comparison_id, key.id)
    if not waiting:
        return None
    row = min(waiting, key=lambda row: _draw(comparison.seed, b"order", row.id, key.id))
    left, right = AdText.model_validate(row.first), AdText.model_validate(row.second)
    if turned(comparison.seed, row.id, key.id):
        left, right = right, left
    return OpenPair(row.id, row.brief, row.locale, row.platform, left, right)


async def judge(
    connection: AsyncConnection, comparison_id: int, pair_id: UUID, choice: Choice, key: Key, annotator: str
) -> None:
    """Keep what this annotator says of the pair. Said again, the later word counts."""
    comparison = await found(connection, comparison_id)
    _of_all(key)
    if await store.find_pair(connection, comparison_id, pair_id) is None:
        raise Problem(404, "unknown_pair", "the comparison has no such pair", field="pair_id", value=pair_id)
    verdict = SIDES[choice]
    if turned(comparison.seed, pair_id, key.id):
        verdict = _TURNED[verdict]
    await store.set_verdict(connection, pair_id=pair_id, key_id=key.id, annotator=annotator, verdict=verdict)


async def undo(connection: AsyncConnection, comparison_id: int, key: Key) -> None:
    """Take back this annotator's latest verdict."""
    await found(connection, comparison_id)
    if await store.drop_last_verdict(connection, comparison_id, key.id) is None:
        raise Problem(409, "nothing_to_undo", "there is no verdict of yours to take back")


def turned(seed: bytes, pair_id: UUID, key_id: int) -> bool:
    """Whether this annotator sees the second text of the pair on the left."""
    return bool(_draw(seed, b"side", pair_id, key_id)[0] & 1)


def _draw(seed: bytes, what: bytes, pair_id: UUID, key_id: int) -> bytes:
    return blake2b(what + pair_id.bytes + key_id.to_bytes(8, "big"), key=seed, digest_size=8).digest()


def _of_all(key: Key) -> None:
    """A key of one advertiser may not see the briefs of others."""
    if key.advertiser is not None:
        raise Problem(
            403,
            "other_advertiser",
            f"key {key.prefix} is limited to advertiser {key.advertiser!r}, and a comparison shows briefs of several",
        )
