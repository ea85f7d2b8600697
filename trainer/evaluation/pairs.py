"""Blind pairs of two policies' texts for human Good/Same/Bad judgements; which policy wrote which side is kept apart
(RELATE §4.3).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from random import Random

from trainer.rewards.base import Sample

PAIRS = 300  # RELATE §4.3
_COLUMNS = (
    "pair", "query", "bidwords", "advertiser", "business", "selling_points",
    "left_title", "left_description", "right_title", "right_description", "verdict",
)  # fmt: skip


def write_pairs(
    policies: Mapping[str, Sequence[Sample]], pairs: Path, key: Path, *, count: int = PAIRS, seed: int = 0
) -> int:  # fmt: skip
    """Write `count` pairs, or as many as there are, to two CSV files; returns how many.

    Prompts take turns, so that none is judged much more often than another; a pair is two texts that parse, for one
    prompt. `pairs` goes to the judges, who write left, same or right under verdict; `key` says which policy is on the
    left and stays behind until they are done. ValueError unless there are two policies, or where both files are one.
    """
    if len(policies) != 2:
        raise ValueError(f"{len(policies)} policies: a pair is of two, name exactly two")
    if pairs.resolve() == key.resolve():
        raise ValueError(f"{key} would hold the pairs and their key: name two files")
    random = Random(seed)
    chosen = _turns(policies, random)[:count]
    random.shuffle(chosen)
    with pairs.open("w", newline="", encoding="utf-8") as blind, key.open("w", newline="", encoding="utf-8") as opened:
        shown, kept = csv.writer(blind), csv.writer(opened)
        shown.writerow(_COLUMNS)
        kept.writerow(("pair", "left", "right"))
        for number, sides in enumerate(chosen, start=1):
            left, right = random.sample(sides, 2)
            brief = left[1].prompt.brief
            about = (
                brief.query,
                "; ".join(brief.bidwords),
                brief.ad.advertiser,
                brief.ad.business,
                "; ".join(brief.ad.selling_points),
            )
            shown.writerow((number, *about, *_fields(left[1]), *_fields(right[1]), ""))
            kept.writerow((number, left[0], right[0]))
    return len(chosen)


_Sides = list[tuple[str, Sample]]


def _turns(policies: Mapping[str, Sequence[Sample]], random: Random) -> list[_Sides]:
    """Pairs of samples of one prompt, the first of every prompt before any prompt's second."""
    by_prompt: dict[tuple[str, str], dict[str, list[Sample]]] = {}
    for name, samples in policies.items():
        for sample in samples:
            if sample.text:
                prompt = (sample.prompt.brief.ad.id, sample.prompt.brief.query)
                by_prompt.setdefault(prompt, {}).setdefault(name, []).append(sample)
    rounds: list[tuple[int, _Sides]] = []
    for written in by_prompt.values():
        sides = [random.sample(written.get(name, []), len(written.get(name, []))) for name in policies]
        rounds += [
            (turn, list(zip(policies, pair, strict=True))) for turn, pair in enumerate(zip(*sides, strict=False))
        ]
    random.shuffle(rounds)
    return [pair for _, pair in sorted(rounds, key=itemgetter(0))]


def _fields(sample: Sample) -> tuple[str, str]:
    """Title, and descriptions in one line."""
    assert sample.text is not None
    title, *rest = (value for _, value in sample.text.fields())
    return title, " ".join(rest)
