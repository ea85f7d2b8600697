"""The result of a blind comparison: whose reading counts, what the pairs say, and how far annotators agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any, Literal
from uuid import UUID

from abtest.preference import Preference, cohen_kappa, fleiss_kappa, preference

RELIABLE = 0.9  # a reading counts if it decides this share of each kind of planted pairs correctly: 18 of 20
_SAID = {"first": "good", "same": "same", "second": "bad"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What one annotator did. It counts when enough of the planted pairs are right."""

    annotator: str
    judged: int  # pairs that are not planted
    caught: int  # planted pairs with a broken side in which the other side was preferred
    broken: int
    passed: int  # planted pairs with one text on both sides of which "same" was said
    alike: int
    state: Literal["counts", "unfinished", "unreliable"]


@dataclass(frozen=True, slots=True)
class Results:
    pairs: int  # that are not planted
    judged: int  # with a verdict of a reading that counts
    preference: Preference
    kappa: float | None  # over the pairs that all counted annotators judged
    kappa_name: Literal["Cohen", "Fleiss"]
    readings: tuple[Reading, ...]


def results(pairs: Sequence[Any], verdicts: Sequence[Any]) -> Results:
    """Each pair's verdict is that of more than half of its counted readings, else "same"."""
    expected = {pair.id: pair.expected for pair in pairs}
    by_key = _by_key(verdicts)
    readings = {key: _reading(rows, expected) for key, rows in by_key.items()}
    counted = [key for key, reading in readings.items() if reading.state == "counts"]
    said: dict[UUID, list[str]] = {}
    for key in counted:
        for row in by_key[key]:
            if expected[row.pair_id] is None:
                said.setdefault(row.pair_id, []).append(_SAID[row.verdict])
    verdict = Counter(_majority(words) for words in said.values())
    common = [words for words in said.values() if len(words) == len(counted)] if len(counted) > 1 else []
    two = len(counted) <= 2
    kappa = cohen_kappa(*zip(*common, strict=True)) if two and common else fleiss_kappa(common)
    return Results(
        pairs=sum(answer is None for answer in expected.values()),
        judged=len(said),
        preference=preference(verdict["good"], verdict["same"], verdict["bad"]),
        kappa=kappa,
        kappa_name="Cohen" if two else "Fleiss",
        readings=tuple(readings.values()),
    )


def _by_key(verdicts: Sequence[Any]) -> dict[int, list[Any]]:
    by_key: dict[int, list[Any]] = {}
    for row in verdicts:
        by_key.setdefault(row.key_id, []).append(row)
    return by_key


def _reading(rows: Sequence[Any], expected: Mapping[UUID, str | None]) -> Reading:
    answers = {row.pair_id: row.verdict for row in rows}
    right = Counter(answer for pair, answer in answers.items() if answer == expected[pair])
    planted = Counter(answer for answer in expected.values() if answer is not None)
    answered = sum(expected[pair] is not None for pair in answers)
    reliable = all(right[kind] >= ceil(RELIABLE * number) for kind, number in planted.items())
    finished = answered == planted.total()
    return Reading(
        annotator=rows[-1].annotator,
        judged=len(answers) - answered,
        caught=right["first"],
        broken=planted["first"],
        passed=right["same"],
        alike=planted["same"],
        state="unfinished" if not finished else "counts" if reliable else "unreliable",
    )


def _majority(words: Sequence[str]) -> str:
    word, number = Counter(words).most_common(1)[0]
    return word if 2 * number > len(words) else "same"


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict with the texts that it is about: a row of the export."""

    pair: UUID
    locale: str
    platform: str
    planted: str | None  # the known answer
    policy_title: str
    policy_description: str
    baseline_title: str
    baseline_description: str
    annotator: str
    verdict: str  # good: the policy's text is better; same; bad
    reading: str
    judged_at: datetime


def exported(pairs: Sequence[Any], verdicts: Sequence[Any]) -> Iterator[Judged]:
    """Every verdict, those of readings that do not count too: `reading` says so."""
    by_id = {pair.id: pair for pair in pairs}
    expected = {pair.id: pair.expected for pair in pairs}
    for rows in _by_key(verdicts).values():
        state = _reading(rows, expected).state
        for row in rows:
            pair = by_id[row.pair_id]
            yield Judged(
                pair=pair.id,
                locale=pair.locale,
                platform=pair.platform,
                planted={"first": "good", "same": "same"}.get(pair.expected),
                policy_title=pair.first["title"],
                policy_description=pair.first["description"],
                baseline_title=pair.second["title"],
                baseline_description=pair.second["description"],
                annotator=row.annotator,
                verdict=_SAID[row.verdict],
                reading=state,
                judged_at=row.judged_at,
            )
