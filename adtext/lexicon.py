"""Terms and patterns → spans of the raw text. One Aho-Corasick automaton per view, one pass each, however many entries
there are.

A Latin term must begin and end at a word's border; a Chinese or Japanese one is found anywhere. In the squeezed view a
hit counts only when what was squeezed out is a disguise (最 佳, f.r.e.e) and not the end of a clause between two
innocent words.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ahocorasick_rs import AhoCorasick

from adtext.fold import Cover, Span, View, Views, fold, squeeze, views

Severity = Literal["block", "review", "warn"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One term (or one pattern) of a pack, and what holds for it."""

    term: str  # as written in the pack; the pattern's source where `pattern`
    rule: str
    severity: Severity
    reason: str
    source: str
    category: str = ""
    concept: str = ""  # entries with the same concept say the same thing: the brief may ground one by another
    languages: frozenset[str] = frozenset()  # empty: all
    industries: frozenset[str] = frozenset()  # empty: all
    excused_by: tuple[str, ...] = ()  # longer wordings in which the term is no claim: 最近 for 最
    pattern: bool = False


class Hit(NamedTuple):
    entry: Entry
    span: Span  # in the raw text


class _Row(NamedTuple):
    """One spelling in an automaton: of an entry's term or, with `excuse`, of a context that excuses it."""

    spelling: str
    number: int
    excuse: bool


class Lexicon:
    """Compiled entries. Building takes a moment, searching microseconds: share one per rules version."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        terms = [
            _Row(fold(entry.term).text, number, False) for number, entry in enumerate(self.entries) if not entry.pattern
        ]
        contexts = [
            _Row(fold(context).text, number, True)
            for number, entry in enumerate(self.entries)
            for context in entry.excused_by
        ]
        latin = [row for row in terms + contexts if _LATIN.search(row.spelling)]
        self._folded = _Automaton(terms + contexts)
        self._squeezed = _Automaton(
            [row._replace(spelling=squeeze(row.spelling)) for row in terms if _can_be_squeezed(row.spelling)]
        )
        self._confusables = _Automaton([row._replace(spelling=views(row.spelling).confusables.text) for row in latin])
        self._patterns = [
            (re.compile(entry.term), number) for number, entry in enumerate(self.entries) if entry.pattern
        ]

    def find(self, text: Views) -> list[Hit]:
        """Every entry that stands in the text, not excused by its context, in reading order; one hit for one entry and
        place.
        """
        hits: set[tuple[Span, int]] = set()
        excused: dict[int, list[Span]] = defaultdict(list)
        for row, span in self._search(text):
            if row.excuse:
                excused[row.number].append(span)
            else:
                hits.add((span, row.number))
        contexts = {number: Cover(spans) for number, spans in excused.items()}
        return [
            Hit(self.entries[number], span)
            for span, number in sorted(hits)
            if number not in contexts or not contexts[number].holds(*span)
        ]

    def _search(self, text: Views) -> Iterator[tuple[_Row, Span]]:
        yield from self._at_borders(self._folded, text.folded)
        if text.confusables is not text.folded:
            yield from self._at_borders(self._confusables, text.confusables)
        if matches := list(self._squeezed.matches(text.squeezed_text)):
            squeezed = text.squeezed
            for row, start, end in matches:
                span = squeezed.raw_span(start, end)
                if _is_disguise(text.raw, span, self.entries[row.number].term):
                    yield row, span
        for view in (text.folded,) if text.confusables is text.folded else (text.folded, text.confusables):
            for pattern, number in self._patterns:
                for match in pattern.finditer(view.text):
                    yield _Row(match.group(), number, False), view.raw_span(*match.span())

    def _at_borders(self, automaton: _Automaton, view: View) -> Iterator[tuple[_Row, Span]]:
        for row, start, end in automaton.matches(view.text):
            if _at_word_borders(view.text, start, end):
                yield row, view.raw_span(start, end)


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


_LATIN = re.compile(r"[a-z]")
_CLAUSE_END = re.compile(r"[,.;:!?，。；：！？、…]")
_PIECE = re.compile(r"[^\W_]+")
# words alone, or Chinese or Japanese alone: squeezed, they still say what they said
_PLAIN = re.compile(r"[a-z' -]{4,}|[^\W\d_a-z]{2,}")


def _can_be_squeezed(spelling: str) -> bool:
    return _PLAIN.fullmatch(spelling) is not None


def _is_word(char: str) -> bool:
    return char < "\u0250" and char.isalnum()


def _at_word_borders(text: str, start: int, end: int) -> bool:
    """True unless a Latin word or a number goes on beyond either edge. Chinese and Japanese have no borders to see."""
    if start and _is_word(text[start]) and _is_word(text[start - 1]):
        return False
    return not (end < len(text) and _is_word(text[end - 1]) and _is_word(text[end]))


def _is_disguise(raw: str, span: Span, term: str) -> bool:
    """True where the characters squeezed out of raw[span] only hide the term.

    最 佳, f.r.e.e, click-here and 全,网,最,低,价 do. The end of a clause between two words (最, 佳; click. Here), and words
    that happen to make up another (the rapist), do not.
    """
    written = raw[span.start : span.end]
    if not _at_word_borders(raw, span.start, span.end):
        return False
    pieces = _PIECE.findall(written)
    letters = sum(map(len, pieces))
    if len(pieces) == letters and letters > 2:  # every letter stands alone
        return True
    if _LATIN.search(term.casefold()) is None:
        return _CLAUSE_END.search(written) is None
    several_words = _PIECE.fullmatch(term) is None
    if any(char.isspace() for char in written):
        return several_words and _CLAUSE_END.search(written) is None
    return several_words or len(pieces) > 1
