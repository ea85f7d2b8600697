"""Slips of form: what a small policy writes that is true and reads badly. Corruptions in the sense of
`trainer.judge.corruptions`; English only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

from adtext.brief import AdText
from trainer.judge.source import Corruption, Source

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_SMALL = re.compile(r" (?:in|for|from|with|at|of|and|to|on) ")
_INNER_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}")
_CAPITALS = re.compile(r"\b[A-Z]{2,5}\b")
_PLURAL = re.compile(r"\b[A-Za-z]{4,}s\b")
_ENDED = re.compile(r"\b([A-Za-z]{4,})(?:ed|ing)\b")


def _in_part(text: AdText, name: str, changed: str) -> AdText:
    return text.model_copy(update={name: changed})


def _bent(source: Source, random: Random) -> AdText | None:
    """A word loses its ending: "Group of nine at most", "Wheel bearings repack"."""
    name, value = "description", source.text.description
    found = [(match, match.group()[:-1]) for match in _PLURAL.finditer(value) if not match.group().endswith("ss")]
    found += [(match, match[1]) for match in _ENDED.finditer(value)]
    if not found:
        return None
    match, bare = random.choice(found)
    return _in_part(source.text, name, value[: match.start()] + bare + value[match.end() :])


def _small_name(source: Source, random: Random) -> AdText | None:
    """A name without its capital, or capitals broken: "in portland", "Gi Bill", "Dele"."""
    name = random.choice(("title", "description"))
    value = getattr(source.text, name)
    found = [(match, match.group().capitalize()) for match in _CAPITALS.finditer(value)]
    found += [(match, match.group().lower()) for match in _INNER_NAME.finditer(value)]
    if not found:
        return None
    match, broken = random.choice(found)
    return _in_part(source.text, name, value[: match.start()] + broken + value[match.end() :])


def _keyword_list(source: Source, random: Random) -> AdText | None:
    """A title of query words without the small words that join them: "Mortgage Two Jobs"."""
    title = source.text.title if random.random() < 0.5 else source.brief.query.title()
    changed = _SMALL.sub(" ", title, count=1) if _SMALL.search(title) else None
    if changed is None:
        words = title.split()
        if len(words) < 3:
            return None
        at = random.randrange(len(words) - 1)
        words[at], words[at + 1] = words[at + 1], words[at]
        changed = " ".join(words)
    return _in_part(source.text, "title", changed)


def _said_twice(source: Source, random: Random) -> AdText | None:
    """The description says the title again, or one sentence twice."""
    parts = _SENTENCE.split(source.text.description)
    if random.random() < 0.5 and len(parts) > 1:
        kept = random.choice(parts)
        return _in_part(source.text, "description", f"{kept} {kept}")
    parts[-1] = f"{source.text.title}."
    return _in_part(source.text, "description", " ".join(parts))


def _fragment(source: Source, random: Random) -> AdText | None:
    """A sentence cut down to two or three words from its middle."""
    parts = _SENTENCE.split(source.text.description)
    words = parts[-1].rstrip(".").split()
    if len(words) < 6:
        return None
    start = random.randrange(1, len(words) - 3)
    cut = " ".join(words[start : start + random.randrange(2, 4)])
    parts[-1] = f"{cut[:1].upper()}{cut[1:]}."
    return _in_part(source.text, "description", " ".join(parts))


SLIPS: Mapping[str, Corruption] = {
    "bent_word": _bent,
    "broken_capitals": _small_name,
    "keyword_list": _keyword_list,
    "said_twice": _said_twice,
    "fragment": _fragment,
}
