"""Which phrases a policy repeats from brief to brief, where they stand in a text, and how diverse its texts are.
    (RELATE eq. 4, 5, 12)

A unit is a folded word, or a single character of Chinese or Japanese; never a token id, which would differ between
policies. An n-gram is n ∈ [2, 10] units in a row inside one field's value: labels and field borders are never part of
one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from itertools import combinations, pairwise, repeat
from statistics import fmean
from typing import TypedDict

from adtext.brief import AdBrief, AdText
from adtext.fold import Span, View, fold

MIN_N, MAX_N = 2, 10  # RELATE §3.3.2
WINDOW = 288  # distinct briefs: one step of 1,440 texts in groups of 5 (RELATE §4.1)
ENTER_PERCENT, ENTER_BRIEFS, LEAVE_PERCENT = 5, 3, 3
COPY_N = 8
NEAR_DUPLICATE = 0.8  # Jaccard similarity of the units and 2-grams of two texts

Ngram = tuple[str, ...]

_CJK = r"\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNIT = re.compile(rf"[{_CJK}]|\d+(?:[.,]\d+)+|(?:(?![{_CJK}])[^\W_])+(?:'(?:(?![{_CJK}])[^\W_])+)*")


class NgramState(TypedDict):
    """What `FrequentNgrams` remembers, in JSON's types."""

    window: list[tuple[str, list[list[str]]]]  # (brief key, units of its texts' fields), oldest brief first
    frequent: list[list[str]]


class FrequentNgrams:
    """The high-frequency n-grams of a policy's latest texts: G_high of RELATE eq. 4.

    df(g) = number of the latest `window` distinct briefs with g in any of their texts.
    g enters at df ≥ 5 % of them and ≥ 3 briefs, and leaves below 3 %.
    Entry and exit are settled when a hit is next asked for: a batch observed first and asked about afterwards counts as
    a whole. A part of a frequent n-gram is as frequent as the whole, so the set is closed under taking parts: it is
    grown from the 2-grams up.
    """

    def __init__(self, window: int = WINDOW) -> None:
        if window < 1:
            raise ValueError(f"window {window} must be at least 1 brief")
        self._size = window
        self._window: dict[str, frozenset[Ngram]] = {}  # by brief, oldest first
        self._frequent: set[Ngram] = set()
        self._settled = True

    def observe(self, brief: AdBrief, texts: Iterable[AdText]) -> None:
        """Count these texts as the brief's latest; they replace those it had, and the oldest brief beyond the window is
        forgotten.
        """
        key = _key(brief)
        self._window.pop(key, None)
        self._window[key] = frozenset(units(value) for text in texts for _, value in text.fields())
        if len(self._window) > self._size:
            del self._window[next(iter(self._window))]
        self._settled = False

    def hits(self, text: AdText, brief: AdBrief | None = None) -> list[tuple[str, Span]]:
        """(field, span in the raw value) of every longest run of units inside high-frequency n-grams, in reading order.

        Exempt are n-grams wholly inside the brief's query, a bidword, or a brand or advertiser name, and numbers that
        stand in the brief: they repeat because they must. Without a brief nothing is exempt.
        """
        return [
            (field, span)
            for field, value in text.fields()
            if any(marks := self._repeated(value, brief))
            for span in _runs(marks, _word_spans(value))
        ]

    def share(self, text: AdText, brief: AdBrief | None = None) -> float:
        """Share of the text's units that stand inside high-frequency n-grams, in [0, 1]; 0 for a text without units."""
        repeated = [mark for _, value in text.fields() for mark in self._repeated(value, brief)]
        return sum(repeated) / len(repeated) if repeated else 0.0

    def state_dict(self) -> NgramState:
        """Everything a resumed run needs to go on as if it had never stopped."""
        window = [(key, [list(words) for words in sorted(fields)]) for key, fields in self._window.items()]
        return {"window": window, "frequent": [list(gram) for gram in sorted(self._frequent)]}

    def load_state_dict(self, state: NgramState) -> None:
        self._window = {key: frozenset(tuple(words) for words in fields) for key, fields in state["window"]}
        self._frequent = {tuple(gram) for gram in state["frequent"]}
        self._settled = False  # settling again changes nothing where it was settled

    def _repeated(self, value: str, brief: AdBrief | None) -> list[bool]:
        """For each unit of a field's value: does it stand inside a high-frequency n-gram that is not exempt?"""
        if not self._settled:
            self._settle()
        words = units(value)
        repeated = [False] * len(words)
        if self._frequent.isdisjoint(pairwise(words)):  # most fields: no 2-gram, so nothing longer either
            return repeated
        names = _names(brief) if brief else frozenset()
        for start in range(len(words) - MIN_N + 1):
            longest = self._longest(words, start)  # where it is exempt, so are the shorter ones that begin here
            if longest and longest not in names:
                repeated[start : start + len(longest)] = [True] * len(longest)
        if brief and any(mark and word[0].isdigit() for mark, word in zip(repeated, words, strict=True)):
            numbers = _numbers(brief)
            repeated = [mark and word not in numbers for mark, word in zip(repeated, words, strict=True)]
        return repeated

    def _longest(self, words: Ngram, start: int) -> Ngram:
        """The longest high-frequency n-gram that begins here; () where none does."""
        longest: Ngram = ()
        for end in range(start + MIN_N, min(start + MAX_N, len(words)) + 1):
            if words[start:end] not in self._frequent:
                break
            longest = words[start:end]
        return longest

    def _settle(self) -> None:
        pairs = self._kept({pair for words in fields for pair in pairwise(words)} for fields in self._window.values())
        longer = self._kept(
            {
                gram
                for words in fields
                for stretch in _stretches(words, pairs)
                for n in range(3, MAX_N + 1)
                for gram in _ngrams(stretch, n)
            }
            for fields in self._window.values()
        )
        self._frequent = pairs | longer
        self._settled = True

    def _kept(self, ngrams_by_brief: Iterable[set[Ngram]]) -> set[Ngram]:
        """The n-grams that enter or stay."""
        briefs = len(self._window)
        enter = max(ENTER_BRIEFS, -(-briefs * ENTER_PERCENT // 100))
        leave = -(-briefs * LEAVE_PERCENT // 100)
        df: Counter[Ngram] = Counter()
        for ngrams in ngrams_by_brief:
            df.update(ngrams)
        return {gram for gram, count in df.items() if count >= enter or (count >= leave and gram in self._frequent)}


def diversity(texts: Sequence[AdText], frequent: FrequentNgrams, briefs: Sequence[AdBrief] = ()) -> float:
    """Diversity = 1/N Σ_i (1 − share of text i's units inside high-frequency n-grams), in [0, 1].     (RELATE eq. 12)

    `frequent` has observed the policy's own evaluated texts. `briefs` are those the texts were written for, one each,
    for the exemptions (see `FrequentNgrams.hits`); left out, nothing is exempt. ValueError without a text, or where the
    two differ in number.
    """
    if not texts:
        raise ValueError("the diversity of 0 texts is not defined: give at least one")
    if briefs and len(briefs) != len(texts):
        raise ValueError(f"{len(briefs)} briefs for {len(texts)} texts: give the brief of each text, or none")
    its_brief: Iterable[AdBrief | None] = briefs or repeat(None)
    return fmean(1 - frequent.share(text, brief) for text, brief in zip(texts, its_brief, strict=False))


def distinct(texts: Sequence[AdText]) -> int:
    """How many different texts these are: folded, and near-duplicates counted once.

    Two texts are near-duplicates when the Jaccard similarity of their sets of units and 2-grams is at least 0.8;
    a chain of them is one text, so the order does not matter.
    """
    shingles = [_shingles(text) for text in texts]
    group = list(range(len(texts)))
    for first, second in combinations(range(len(texts)), 2):
        if group[first] != group[second] and _jaccard(shingles[first], shingles[second]) >= NEAR_DUPLICATE:
            merged, kept = group[second], group[first]
            group = [kept if number == merged else number for number in group]
    return len(set(group))


def copy_rate(text: AdText, brief: AdBrief) -> float:
    """Share of the text's units that stand inside an 8-gram of its brief, in [0, 1]; 0 for a text without units."""
    source = _brief_ngrams(brief)
    copied: list[bool] = []
    for _, value in text.fields():
        words = units(value)
        marks = [False] * len(words)
        for start in range(len(words) - COPY_N + 1):
            if words[start : start + COPY_N] in source:
                marks[start : start + COPY_N] = [True] * COPY_N
        copied += marks
    return sum(copied) / len(copied) if copied else 0.0


@lru_cache(maxsize=8192)
def units(value: str) -> Ngram:
    """The folded words of a value, and its Chinese and Japanese characters one by one: what n-grams are made of."""
    return tuple(_UNIT.findall(_folded(value).text))


def _word_spans(value: str) -> list[Span]:
    """Where each unit stands in the raw value."""
    view = _folded(value)
    return [view.raw_span(unit.start(), unit.end()) for unit in _UNIT.finditer(view.text)]


def _folded(value: str) -> View:
    view = fold(value)
    return replace(view, text=view.text.replace("’", "'")) if "’" in view.text else view


def _ngrams(words: Ngram, n: int) -> Iterator[Ngram]:
    return (words[start : start + n] for start in range(len(words) - n + 1))


def _stretches(words: Ngram, pairs: set[Ngram]) -> Iterator[Ngram]:
    """The longest runs of at least three units in which every 2-gram is one of these: all longer frequent n-grams lie
    inside them.
    """
    start = 0
    for end in range(1, len(words) + 1):
        if end == len(words) or words[end - 1 : end + 1] not in pairs:
            if end - start >= 3:
                yield words[start:end]
            start = end


def _runs(marks: Sequence[bool], spans: Sequence[Span]) -> Iterator[Span]:
    start = None
    for position, mark in enumerate([*marks, False]):
        if mark and start is None:
            start = position
        elif not mark and start is not None:
            yield Span(spans[start].start, spans[position - 1].end)
            start = None


def _shingles(text: AdText) -> set[Ngram]:
    return {gram for _, value in text.fields() for n in (1, 2) for gram in _ngrams(units(value), n)}


def _jaccard(a: set[Ngram], b: set[Ngram]) -> float:
    return len(a & b) / len(a | b) if a or b else 1.0


@lru_cache(maxsize=1024)
def _key(brief: AdBrief) -> str:
    return sha256(brief.model_dump_json().encode()).hexdigest()[:16]  # the same in every process, as hash() is not


@lru_cache(maxsize=1024)
def _names(brief: AdBrief) -> frozenset[Ngram]:
    """Every n-gram of the query, the bidwords and the names."""
    names = (brief.query, *brief.bidwords, brief.ad.advertiser, *brief.ad.brands)
    return frozenset(gram for name in names for n in range(MIN_N, MAX_N + 1) for gram in _ngrams(units(name), n))


@lru_cache(maxsize=1024)
def _numbers(brief: AdBrief) -> frozenset[str]:
    return frozenset(word for fact in brief.facts() for word in _UNIT.findall(_folded(fact).text) if word[0].isdigit())


@lru_cache(maxsize=1024)
def _brief_ngrams(brief: AdBrief) -> frozenset[Ngram]:
    return frozenset(
        gram for fact in brief.facts() for gram in _ngrams(tuple(_UNIT.findall(_folded(fact).text)), COPY_N)
    )
