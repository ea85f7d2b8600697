"""Terms, families and patterns → spans of the raw text. One Aho-Corasick automaton per view, one pass each, however
many entries there are.

A Latin term begins and ends at a word's border; a Chinese or Japanese one cuts no word of the dictionary. A family is
a pair of word classes close together in one clause (cures … acne; シミ … 消える). In the views that undo a disguise, a
hit counts only when what was undone is a disguise.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ahocorasick_rs import AhoCorasick

from adtext import disguise
from adtext.fold import Cover, Span, View, Views, fold, squeeze, views
from adtext.negation import denied
from adtext.words import KANA, Words

Severity = Literal["block", "review", "warn"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One term, family or pattern of a pack, and what holds for it."""

    term: str  # as written in the pack; of a family or pattern, its source
    rule: str
    severity: Severity
    reason: str
    source: str
    category: str = ""
    concept: str = ""  # entries with the same concept say the same thing: the brief may ground one by another
    languages: frozenset[str] = frozenset()  # in which the words themselves are written; empty: all
    industries: frozenset[str] = frozenset()  # empty: all
    products: frozenset[str] = frozenset()  # product classes; empty: all
    allowed_for: frozenset[str] = frozenset()  # product classes for which this is no offence
    excused_by: tuple[str, ...] = ()  # wordings in which it is no claim: 最近 for 最
    kind: Literal["term", "family", "pattern"] = "term"
    only_supports: bool = False  # grounds its concept where a brief says it, and is no claim of its own
    hints: tuple[str, ...] = ()  # a pattern is only tried where one of them stands
    needs_proof: bool = False  # an advertiser may say it who has evidence for it
    suggestion: str | None = None  # what to write instead


class Hit(NamedTuple):
    entry: Entry
    span: Span  # in the raw text
    denied: bool  # the words around it say the opposite: no free shipping, 不保本


class _Row(NamedTuple):
    """One spelling in an automaton, and what it stands for."""

    spelling: str
    number: int  # the entry's number; -1 for a class
    role: Literal["term", "excuse", "hint", "class"] = "term"
    name: str = ""  # the class's name


class Lexicon:
    """Compiled entries. Building takes a moment, searching microseconds: share one per rules version."""

    def __init__(self, entries: Sequence[Entry], classes: Mapping[str, Sequence[str]] | None = None) -> None:
        self.entries = tuple(entries)
        self._spellings = [fold(entry.term).text if entry.kind == "term" else "" for entry in self.entries]
        terms = [_Row(self._spellings[at], at) for at, entry in enumerate(self.entries) if entry.kind == "term"]
        others = [
            *(
                _Row(fold(word).text, at, "excuse")
                for at, entry in enumerate(self.entries)
                for word in entry.excused_by
            ),
            *(_Row(fold(word).text, at, "hint") for at, entry in enumerate(self.entries) for word in entry.hints),
        ]
        members = [
            _Row(fold(word).text, -1, "class", name) for name, words in (classes or {}).items() for word in words
        ]
        latin = [row for row in [*terms, *others, *members] if _LATIN.search(row.spelling)]
        self._folded = _Automaton([*terms, *others, *members])
        self._confusables = _Automaton([row._replace(spelling=views(row.spelling).confusables.text) for row in latin])
        self._squeezed = _Automaton(
            [row._replace(spelling=squeeze(row.spelling)) for row in terms if disguise.can_be_squeezed(row.spelling)]
        )
        respelled = [
            row for row in terms if len(row.spelling) > 3 and _LATIN.search(row.spelling) and row.spelling.isascii()
        ]
        self._skeletons = _Automaton([row._replace(spelling=disguise.skeleton(row.spelling)) for row in respelled])
        sounded = [row for row in terms if disguise.can_be_sounded(row.spelling)]
        self._sounds = _Automaton([row._replace(spelling=disguise.sound(row.spelling)[0]) for row in sounded])
        self._patterns = {
            at: re.compile(_folded_pattern(entry.term))
            for at, entry in enumerate(self.entries)
            if entry.kind == "pattern"
        }
        self._always = [at for at in self._patterns if not self.entries[at].hints]
        self._families: dict[str, list[tuple[int, str, int]]] = defaultdict(list)  # by the class that stands first
        for at, entry in enumerate(self.entries):
            for first, second, gap in _orders(entry.term) if entry.kind == "family" else ():
                self._families[first].append((at, second, gap))

    def find(self, text: Views, language: str) -> list[Hit]:
        """Every entry that stands in the text, not excused by its context, in reading order; one hit for one entry and
        place. `language` is the brief's.
        """
        folded = text.folded
        words = Words(_segmented(text, language), language)
        excuses: dict[int, list[Span]] = defaultdict(list)
        spans: dict[tuple[Span, int], tuple[str, int, int] | None] = {}  # where it stands; None: disguised
        hinted: set[int] = set(self._always)
        members: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for row, start, end, view in self._plain(text, hinted):
            if row.role == "excuse":
                excuses[row.number].append(view.raw_span(start, end))
            elif row.role == "hint":
                hinted.add(row.number)
            elif view is not folded or not words.cuts(start, end, kinds=row.role == "class" or end - start > 1):
                if row.role == "class":
                    members[row.name].append((start, end))
                else:
                    spans[view.raw_span(start, end), row.number] = view.text, start, end
        for number, start, end in (*self._families_in(folded.text, members), *self._patterns_in(folded.text, hinted)):
            spans[folded.raw_span(start, end), number] = folded.text, start, end
        for number, span in self._disguised(text, words):
            spans.setdefault((span, number), None)
        covers = {number: Cover(found) for number, found in excuses.items()}
        hits = []
        for (span, number), place in sorted(spans.items(), key=_in_reading_order):
            entry = self.entries[number]
            written = place[0][place[1] : place[2]] if place else entry.term
            if number in covers and self._is_excused(number, span, covers[number]):
                continue
            if _is_written_in(entry, written, words, language):
                hits.append(Hit(entry, span, place is not None and denied(*place)))
        return hits

    def _is_excused(self, number: int, span: Span, excuses: Cover) -> bool:
        """A term by wordings that hold all of it; a family or pattern, whose hits are long, by those that meet it."""
        return excuses.holds(*span) if self.entries[number].kind == "term" else excuses.meets(*span)

    def _plain(self, text: Views, hinted: AbstractSet[int]) -> Iterator[tuple[_Row, int, int, View]]:
        for automaton, view in ((self._folded, text.folded), (self._confusables, text.confusables)):
            if automaton is self._confusables and view is text.folded:
                continue
            for row, start, end in automaton.matches(view.text):
                if row.number in hinted and row.role == "hint":
                    continue
                if _at_word_borders(view.text, start, end):
                    yield row, start, end, view

    def _families_in(
        self, folded: str, members: Mapping[str, Sequence[tuple[int, int]]]
    ) -> Iterator[tuple[int, int, int]]:
        """(entry, start, end) from the first word to the second, for each first word and the nearest second one."""
        ordered = {name: sorted(places) for name, places in members.items()}
        for first, places in members.items():
            for number, second, gap in self._families.get(first, ()):
                starts = ordered.get(second)
                if starts is None:
                    continue
                for start, end in places:
                    at = bisect_left(starts, (end, end))
                    near = at < len(starts) and starts[at][0] - end <= gap
                    if near and not _CLAUSE.search(folded, end, starts[at][0]):
                        yield number, start, starts[at][1]

    def _patterns_in(self, folded: str, hinted: Iterable[int]) -> Iterator[tuple[int, int, int]]:
        for number in hinted:
            for match in self._patterns[number].finditer(folded):
                yield number, *match.span()

    def _disguised(self, text: Views, words: Words) -> Iterator[tuple[int, Span]]:
        """Terms that were respelled to hide them."""
        folded, squeezed = text.folded, None
        for row, start, end in self._squeezed.matches(text.squeezed_text):
            squeezed = squeezed or text.squeezed
            span = squeezed.raw_span(start, end)
            at = slice(span.start, span.end)
            written = folded.text[at] if folded.starts is None else fold(text.raw[at]).text
            if (
                written != self._spellings[row.number]
                and _at_word_borders(text.raw, *span)
                and disguise.is_spaced_out(text.raw, span, self.entries[row.number].term)
            ):
                yield row.number, span
        latin = text.confusables
        if latin is not folded or _RESPELLED.search(folded.text):
            found = list(self._skeletons.matches(disguise.skeleton(latin.text)))
            positions = disguise.skeleton_positions(latin.text) if found else []
            for row, first, last in found:
                start, end = positions[first], positions[last] if last < len(positions) else len(latin.text)
                if _at_word_borders(latin.text, start, end) and disguise.is_respelled(
                    latin.text[start:end], folded.text[start:end], self._spellings[row.number]
                ):
                    yield row.number, latin.raw_span(start, end)
        if _HAN.search(folded.text):
            sounds, positions_of = disguise.sound(folded.text)
            for row, first, last in self._sounds.matches(sounds):
                start, end = (positions_of[first], positions_of[last]) if positions_of else (first, last)
                if disguise.is_sounded(folded.text[start:end], self._spellings[row.number], start, words):
                    yield row.number, folded.raw_span(start, end)


class _Automaton:
    """Aho-Corasick over spellings; one spelling may stand for several rows."""

    def __init__(self, rows: Iterable[_Row]) -> None:
        by_spelling: dict[str, list[_Row]] = defaultdict(list)
        for row in rows:
            by_spelling[row.spelling].append(row)
        self._rows = list(by_spelling.values())
        self._automaton = AhoCorasick(list(by_spelling)) if by_spelling else None

    def matches(self, text: str) -> Iterator[tuple[_Row, int, int]]:
        """(row, start, end) of every occurrence, overlapping ones too."""
        if self._automaton is not None:
            for number, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
                for row in self._rows[number]:
                    yield row, start, end


def _in_reading_order(found: tuple[tuple[Span, int], object]) -> tuple[Span, int]:
    return found[0]


def _folded_pattern(pattern: str) -> str:
    """The pattern with its Chinese characters as folding writes them."""
    return "".join(fold(char).text if char >= "\u3400" else char for char in pattern)


_LATIN = re.compile(r"[a-z]")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_RESPELLED = re.compile(r"([a-z])\1|[0-9@$!|+€][a-z]|[a-z][0-9@$!|+€]")
_CLAUSE = re.compile(r"[.;:!?](?=\s|$)|[。；：！？\n]")
_GAPS = {"en": 28, "zh": 8, "ja": 12}


def _orders(family: str) -> list[tuple[str, str, int]]:
    """The two classes of "first > second" or "first > second 20", and how many characters may stand between; of
    "first ~ second" both orders.
    """
    first, order, second, *gap = family.split(" ")
    reach = int(gap[0]) if gap else _GAPS[first.partition(".")[0]]
    return [(first, second, reach), (second, first, reach)][: 2 if order == "~" else 1]


def _is_written_in(entry: Entry, written: str, words: Words, language: str) -> bool:
    """True where the words found are of the entry's language: by their script, and where Chinese characters leave it
    open by the text around them.
    """
    if not entry.languages:
        return True
    if KANA.search(written):
        return "ja" in entry.languages
    if _HAN.search(written):
        return ("ja" if words.japanese else "zh") in entry.languages
    return "en" in entry.languages or language in entry.languages


def _segmented(text: Views, language: str) -> str:
    """The folded text, in Japanese with the characters as written: its dictionary does not know 贈り物 as 赠り物."""
    folded = text.folded
    if folded.starts is not None or (language != "ja" and KANA.search(folded.text) is None):
        return folded.text
    pairs = zip(text.raw, folded.text, strict=True)
    return "".join([raw if "\u3400" <= raw <= "\u9fff" else char for raw, char in pairs])


def _at_word_borders(text: str, start: int, end: int) -> bool:
    """True unless a Latin word or a number goes on beyond either edge."""
    if start and (before := text[start - 1]) < "\u0250" and before.isalnum():
        first = text[start]
        if first < "\u0250" and first.isalnum():
            return False
    if end < len(text) and (behind := text[end]) < "\u0250" and behind.isalnum():
        last = text[end - 1]
        return not (last < "\u0250" and last.isalnum())
    return True
