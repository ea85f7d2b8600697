"""Places that a text names and its brief does not.

English names are runs of capitalised words in the gazetteer. Chinese and Japanese ones are words that the segmenter
knows as places and that the gazetteer holds: 北京烤鸭 is a dish.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ahocorasick_rs import AhoCorasick

from adtext.fold import Span, Views
from adtext.grounding import Facts
from adtext.words import Words, lines

_RUN = re.compile(r"[A-Z][a-z']+(?:[ -][A-Z][a-z']+)*")
_WORD = re.compile(r"[A-Za-z']+")
_LONGEST = 3  # words of a place's name
_HAN = re.compile(r"[\u4e00-\u9fff]{2}")
_PLACES = {"ns", "地名"}


@cache
def _gazetteer() -> frozenset[str]:
    return frozenset(lines("places.txt"))


def places(text: Views, known: Facts, language: str) -> Iterator[tuple[str, Span]]:
    """(rule, raw span) of every place that neither the facts nor the query name."""
    raw = text.raw
    for run in _RUN.finditer(raw):
        words = [(run.start() + word.start(), run.start() + word.end()) for word in _WORD.finditer(run.group())]
        for first, last in _named(raw, words):
            span = Span(words[first][0], words[last][1])
            name = raw[span.start : span.end].lower()
            if name not in known.text and name not in known.subject:
                yield "ungrounded_place", span
    folded = text.folded.text
    segments: Words | None = None
    for _, start, end in _east_asian().find_matches_as_indexes(folded, overlapping=True) if _HAN.search(folded) else ():
        segments = segments or Words(folded, language)
        word, name = segments.at(start), folded[start:end]
        is_place = (word.start, word.end) == (start, end) and segments.kind(word) in _PLACES
        if is_place and name not in known.text and name not in known.subject:
            yield "ungrounded_place", text.folded.raw_span(start, end)


@cache
def _east_asian() -> AhoCorasick:
    return AhoCorasick([name for name in _gazetteer() if name[0] > "\u2fff"])


def _named(raw: str, words: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """(first, last word) of the longest names, each word in one of them."""
    first = 0
    while first < len(words):
        for last in range(min(first + _LONGEST, len(words)) - 1, first - 1, -1):
            if raw[words[first][0] : words[last][1]].lower() in _gazetteer():
                yield first, last
                first = last
                break
        first += 1
