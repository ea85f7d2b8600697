"""The queries that policies are trained and evaluated on: one prompt is one query of one advertiser. Light: no torch.

Advertisers are in `data/advertisers/*.jsonl`, one per line, each with its queries and, for every query, reference
texts:

    {"ad": {...}, "locale": "en-US", "platform": "google_rsa", "split": "train",
     "queries": [{"query": "...", "bidwords": ["..."], "references": [{"title": "...", "description": "..."}]}]}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import ValidationError

from adtext.brief import Ad, AdBrief, AdText
from adtext.spec import TextSpec, load_spec

# Models are trained on train and selected on validation. held_out is read once per policy, for reporting. new_industry
# holds all advertisers of industries that training never sees.
DataSplit = Literal["train", "validation", "held_out", "new_industry"]
ADVERTISERS = Path(__file__).with_name("data") / "advertisers"


class PromptError(ValueError):
    """A line of an advertiser file that does not follow the format: names the file, the line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One query of one advertiser, with reference texts."""

    brief: AdBrief
    spec: TextSpec
    references: tuple[AdText, ...]
    split: str


def load_prompts(path: Path | None = None, *, language: str = "en", split: DataSplit | None = None) -> list[Prompt]:
    """The prompts of one language, in file order. Default: every split.

    path: a file, or a folder of *.jsonl; by default the packaged advertisers. PromptError where a line is wrong or
    nothing is left.
    """
    path = path or ADVERTISERS
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    prompts = [
        prompt
        for file in files
        for prompt in _read(file)
        if prompt.brief.language == language and split in (None, prompt.split)
    ]
    if not prompts:
        raise PromptError(
            f"{path} holds no prompts in {language!r} of split {split or 'any'}: use another language, split or folder"
        )
    return prompts


def evenly(prompts: Sequence[Prompt], limit: int | None) -> Sequence[Prompt]:
    """At most `limit` prompts, evenly spaced over the list, so that they cover many advertisers."""
    if limit is None or limit >= len(prompts):
        return prompts
    return [prompts[at * len(prompts) // limit] for at in range(limit)]


def _read(file: Path) -> Iterator[Prompt]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield from _prompts(json.loads(line))
            except (ValidationError, ValueError, KeyError, TypeError) as error:
                raise PromptError(
                    f"{file}, line {number}: {error!r}: each line is one advertiser with its queries"
                ) from error


def _prompts(advertiser: dict[str, object]) -> Iterator[Prompt]:
    ad, spec, split = (
        Ad.model_validate(advertiser["ad"]),
        load_spec(str(advertiser["platform"])),
        str(advertiser["split"]),
    )
    if split not in get_args(DataSplit):
        raise ValueError(f"split {split!r} is unknown: use one of {', '.join(get_args(DataSplit))}")
    queries = advertiser["queries"]
    if not isinstance(queries, list):
        raise TypeError("queries must be a list")
    for query in queries:
        brief = AdBrief.model_validate(
            {"query": query["query"], "bidwords": query["bidwords"], "ad": ad, "locale": advertiser["locale"]}
        )
        yield Prompt(brief, spec, tuple(AdText.model_validate(text) for text in query["references"]), split)
