"""Texts of policies with a reader's verdict, and which of them a judge may learn from. Light: no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

from adtext.brief import AdBrief, AdText
from trainer.prompts import Prompt, load_prompts

LABELS = Path(__file__).parents[1] / "data" / "judge" / "labels.jsonl"
TEST = LABELS.with_name("test.jsonl")  # texts of the advertisers that are kept for testing
TESTED = LABELS.with_name("test_advertisers.txt")
RECOMBINED = "recombined"  # the policy of a text whose title and description a policy wrote for it separately

Verdict = Literal["good", "false", "mangled", "clumsy"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Part = Literal["judge", "second_judge", "test"]
_SECOND_JUDGE = 0.15  # share of the other advertisers that only the second judge learns from


class LabelError(ValueError):
    """A label that cannot be used: names the file, the line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Label:
    """One text and what a reader decided: may it run under the advertiser's name as it is?"""

    brief: AdBrief
    text: AdText
    verdict: Verdict
    second: Verdict | None  # verdict of a second reading, made without seeing the first
    policy: str
    part: Part

    @property
    def drawn(self) -> bool:
        """Written by a policy as it is."""
        return self.policy != RECOMBINED


def part_of(advertiser: str, split: str) -> Part | None:
    """Who may learn from an advertiser: those kept for testing are for that only; held_out and new_industry are
    for nobody.
    """
    if split not in ("train", "validation"):
        return None
    if advertiser in _tested():
        return "test"
    draw = int.from_bytes(sha256(f"judge:{advertiser}".encode()).digest()[:8], "big") / 2**64
    return "second_judge" if draw < _SECOND_JUDGE else "judge"


@cache
def _tested() -> frozenset[str]:
    return frozenset(TESTED.read_text("utf-8").split())


def prompts_of(part: Part) -> list[Prompt]:
    """The English prompts of a part's advertisers."""
    return [prompt for prompt in load_prompts() if part_of(prompt.brief.ad.id, prompt.split) == part]


def load_labels(*paths: Path) -> list[Label]:
    """Every label of the files, or of the shipped ones, in file order. LabelError where a line names an unknown
    advertiser, a split for reporting, or an unknown verdict.
    """
    briefs = {(prompt.brief.ad.id, prompt.brief.query): prompt for prompt in load_prompts()}
    return [
        _label(json.loads(line), briefs, f"{path}, line {number}")
        for path in paths or (LABELS, TEST)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
    ]


def _label(row: Mapping[str, Any], briefs: Mapping[tuple[str, str], Prompt], where: str) -> Label:
    prompt = briefs.get((row["ad"], row["query"]))
    if prompt is None:
        raise LabelError(f"{where}: no prompt {row['query']!r} of advertiser {row['ad']!r}")
    part = part_of(row["ad"], prompt.split)
    if part is None:
        raise LabelError(f"{where}: {row['ad']} is of split {prompt.split}, which is never labelled")
    for verdict in (row["verdict"], row.get("second") or "good"):
        if verdict not in VERDICTS:
            raise LabelError(f"{where}: verdict {verdict!r} is unknown: use {', '.join(VERDICTS)}")
    text = AdText(title=row["title"], description=row["description"])
    return Label(prompt.brief, text, row["verdict"], row.get("second"), row["policy"], part)


def agreement(labels: Sequence[Label]) -> tuple[int, float, float]:
    """Texts that were read twice, the share with equal verdicts, and Cohen's kappa of good against the rest."""
    twice = [(label.verdict, label.second) for label in labels if label.second]
    if not twice:
        return 0, float("nan"), float("nan")
    equal = sum(first == second for first, second in twice) / len(twice)
    both = [(first == "good", second == "good") for first, second in twice]
    observed = sum(first == second for first, second in both) / len(both)
    first, second = (sum(column) / len(both) for column in zip(*both, strict=True))
    chance = first * second + (1 - first) * (1 - second)
    return len(twice), equal, (observed - chance) / (1 - chance) if chance < 1 else 1.0
