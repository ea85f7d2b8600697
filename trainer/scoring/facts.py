"""A brief as sentences of facts, and a text as sentences of words, in the form that the judge's features compare.

English only. Everything is compared by stem, so that "repairs" and "repaired" are one word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer

from adtext.brief import AdBrief, AdText
from adtext.fold import fold
from adtext.remember import remember

WORD = re.compile(r"[a-z]+(?:['’-][a-z]+)*|[0-9]+(?:[.,:][0-9]+)*(?:[a-z]+)?|[$£€%&]")
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")
FUNCTION = frozenset(
    """
    a about after all also an and any are as at be been before both but by can could did do does each every few for from
    get had has have he her here his how i if in into is it its just let may me more most my need no nor not now of off
    on one only or our out over own per she so some than that the their them then there these they this those through
    to too under until up us was we were what when where which while who will with within without would you your
    """.split()
)
NEGATIONS = frozenset({"no", "not", "never", "without", "nothing", "none", "nor", "neither", "free", "cannot"})


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence: its words as written, their stems, and the places of its content words."""

    raw: str
    words: tuple[str, ...]  # folded
    stems: tuple[str, ...]
    content: tuple[int, ...]  # places of the words that say what the sentence is about
    start: bool = True  # begins where a fact begins, not after a colon or semicolon

    @property
    def content_stems(self) -> tuple[str, ...]:
        return tuple(self.stems[place] for place in self.content)


@dataclass(frozen=True, slots=True)
class BriefFacts:
    """The facts of a brief, cut into sentences and indexed."""

    own: tuple[Sentence, ...]  # the ad's facts: names, business, selling points, then the page in order
    asked: tuple[Sentence, ...]  # query and bidwords
    offers: int  # place of the first selling point in `own`
    page: int  # place of the page's first sentence in `own`
    stems: frozenset[str]  # stems of the ad's own facts
    asked_stems: frozenset[str]
    runs: Mapping[tuple[str, ...], frozenset[int]]  # sequences of two and three stems → the facts that hold them
    capitals: frozenset[str]  # words with a capital inside a fact


@lru_cache(maxsize=32768)
def stem(word: str) -> str:
    """The Snowball stem; a number is itself."""
    found: str = _stemmer.stemWord(word.replace("’", "'").removesuffix("'s"))
    return found


_stemmer = snowballstemmer.stemmer("english")


def sentence(raw: str) -> Sentence:
    words = tuple(WORD.findall(fold(raw).text.replace("’", "'")))
    content = tuple(place for place, word in enumerate(words) if word not in FUNCTION and word not in "$£€%&")
    return Sentence(raw, words, tuple(stem(word) for word in words), content)


def sentences(value: str) -> list[Sentence]:
    """The sentences of a field that have a word."""
    return [found for part in _SENTENCE.split(value.strip()) if (found := sentence(part)).words]


@remember(24)
def brief_facts(brief: AdBrief) -> BriefFacts:
    ad = brief.ad
    named = [sentence(value) for value in (ad.advertiser, *ad.brands, ad.business) if value]
    head = [*named, *(sentence(value) for value in ad.selling_points if value)]
    own = (*head, *sentences(ad.landing_page))
    asked = tuple(sentence(value) for value in (brief.query, *brief.bidwords))
    runs: dict[tuple[str, ...], set[int]] = {}
    for number, fact in enumerate((*own, *asked)):
        for length in (2, 3):
            for place in range(len(fact.stems) - length + 1):
                runs.setdefault(fact.stems[place : place + length], set()).add(number)
    capitals = frozenset(word.lower() for fact in own for word in re.findall(r"\b[A-Z][\w'-]*", fact.raw)) | frozenset(
        word for phrase in asked for word in phrase.words
    )
    return BriefFacts(
        own=own,
        asked=asked,
        offers=len(named),
        page=len(head),
        stems=frozenset(item for fact in own for item in fact.stems),
        asked_stems=frozenset(item for phrase in asked for item in phrase.stems),
        runs={run: frozenset(found) for run, found in runs.items()},
        capitals=capitals,
    )


def described(text: AdText) -> list[Sentence]:
    """The sentences of the description lines."""
    return [part for name, value in text.fields() if name != "title" for part in sentences(value)]


def longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(right) + 1)
    for item in left:
        before = 0
        for place, other in enumerate(right, start=1):
            kept = row[place]
            row[place] = before + 1 if item == other else max(kept, row[place - 1])
            before = kept
    return row[-1]
