"""Four views of one text, so that spelling is no disguise, each with a map back to the raw positions.

raw          as written
folded       zero-width characters stripped, NFKC, case folded, traditional → simplified Chinese
squeezed     folded, letters and digits only
confusables  folded, Latin look-alikes replaced: Cyrillic and Greek letters, accents, digits inside words (fr33)

Terms of a lexicon go through the same functions as texts, so the two always meet.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import NamedTuple

import regex
from opencc import OpenCC


class Span(NamedTuple):
    """A half-open range of code points."""

    start: int
    end: int

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end

    def holds(self, other: Span) -> bool:
        return self.start <= other.start and other.end <= self.end


class Cover:
    """Whether one of many spans holds another: built by one sort, asked by bisection, so that no caller compares all
    pairs.
    """

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(spans)
        self._starts = [start for start, _ in ordered]
        self._furthest = list(accumulate((end for _, end in ordered), max))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def holds(self, start: int, end: int) -> bool:
        """True where a span begins at or before `start` and ends at or after `end`."""
        before = bisect_right(self._starts, start)
        return before > 0 and self._furthest[before - 1] >= end

    def meets(self, start: int, end: int) -> bool:
        """True where a span shares a character with start:end."""
        before = bisect_left(self._starts, end)
        return before > 0 and self._furthest[before - 1] > start


@dataclass(frozen=True, slots=True)
class View:
    """A rewritten text: its character i was made of raw[starts[i]:ends[i]], and neither map ever falls.

    Maps of None say that every character stands where it stood.
    """

    text: str
    starts: Sequence[int] | None = None
    ends: Sequence[int] | None = None

    def raw_span(self, start: int, end: int) -> Span:
        """The raw range that wrote text[start:end], which must not be empty."""
        if self.starts is None or self.ends is None:
            return Span(start, end)
        return Span(self.starts[start], self.ends[end - 1])

    def keep(self, positions: Sequence[int], text: str) -> View:
        """The view of the characters at these positions, spelled `text`."""
        if self.starts is None or self.ends is None:
            return View(text, positions, [position + 1 for position in positions])
        return View(
            text, [self.starts[position] for position in positions], [self.ends[position] for position in positions]
        )


@dataclass(frozen=True, slots=True)
class Views:
    raw: str
    folded: View
    confusables: View  # the folded view itself where nothing looked like something else
    squeezed_text: str  # without its map, which few texts need

    @property
    def squeezed(self) -> View:
        """The squeezed view, its map made when asked for."""
        kept = [position for position, char in enumerate(self.folded.text) if char.isalnum()]
        return self.folded.keep(kept, self.squeezed_text)


def views(text: str) -> Views:
    """All four views of a text."""
    folded = fold(text)
    return Views(text, folded, _confusables(folded), _alphanumeric(folded.text))


def squeeze(text: str) -> str:
    """The squeezed spelling: two texts with the same one differ in nothing a reader would call a difference."""
    return _alphanumeric(fold(text).text)


def _alphanumeric(text: str) -> str:
    return "".join(filter(str.isalnum, text))


# ---- folded

# Characters that are not seen: format characters, variation selectors, the grapheme joiner, Hangul fillers.
_INVISIBLE = regex.compile(r"[\p{Cf}\ufe00-\ufe0f\U000e0100-\U000e01ef\u034f\u115f\u1160\u3164\uffa0]")
# What NFKC may join to the character before it: marks, half-width voicing marks, Hangul letters.
_JOINING = r"\p{M}\uff9e\uff9f\u1100-\u11ff\u3131-\u318e\uffa1-\uffdc"
_NOT_ALONE = regex.compile(rf"[{_JOINING}\p{{Cf}}\u3164\uffa0]")
_CLUSTER = regex.compile(rf"(?s:.)[{_JOINING}\p{{Cf}}\u3164\uffa0]*")


def fold(text: str) -> View:
    """The folded view: casefold(NFKC(text without invisible characters)) with every traditional character made
    simplified.

    ASCII is lower-cased at once; text without joining characters goes through a table, one look-up a character;
    only the rest is cut into clusters.
    """
    if text.isascii():
        return View(text.lower())
    if _NOT_ALONE.search(text) is None:
        folded = text.translate(_FOLDED)
        if len(folded) == len(text):  # every character became at least one, so each became exactly one
            return View(folded)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for cluster in _CLUSTER.finditer(text):
        piece = _fold_cluster(cluster.group())
        pieces.append(piece)
        starts += [cluster.start()] * len(piece)
        ends += [cluster.end()] * len(piece)
    return View("".join(pieces), starts, ends)


def _fold_cluster(cluster: str) -> str:
    visible = _INVISIBLE.sub("", cluster)
    folded = unicodedata.normalize("NFKC", visible).casefold()
    return "".join(_VARIANTS.get(char) or _simplified(char) for char in folded if not _MARK.match(char))


# strokes and accents that no composed letter holds
_MARK = re.compile(r"[\u0300-\u036f\u0483-\u0489\u20d0-\u20ff]")
# other forms of common characters, which neither NFKC nor OpenCC brings together
_VARIANTS = {
    "囯": "国",
    "囻": "国",
    "冣": "最",
    "蕞": "最",
    "苐": "第",
    "髙": "高",
    "巿": "市",
    "徴": "征",
    "倂": "并",
    "仼": "任",
}


class _Table(dict[int, str]):
    """str.translate's table, filled as characters are met: at most one entry for each character of Unicode."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _fold_cluster(chr(code))
        return folded


_FOLDED = _Table()


@cache
def _t2s() -> OpenCC:
    return OpenCC("t2s")


@cache
def _simplified(char: str) -> str:
    """Character by character, without OpenCC's phrases: the map back stays one to one, and terms are folded the same
    way.
    """
    return str(_t2s().convert(char)) if char >= "\u3400" else char


# ---- confusables (Latin letters only: a table that touched Chinese characters would corrupt them)

_LOOK_ALIKES = str.maketrans(
    # Cyrillic, then Greek, Armenian and phonetic letters that are drawn like a Latin one     Unicode UTS #39,
    # confusables
    "авеѕіјкмнорсԛтухһԝьѵԁԍӏ" + "αβεικνορτυχωγηζ" + "օսոցհյ" + "ɑɡɩıƽʏᴄᴏᴠᴡᴢ",
    "abesijkmhopcqtyxhwbvdgl" + "abeikvoptuxwynz" + "ounghj" + "agiisycovwz",
)  # fmt: skip
_ACCENTED = {
    code: base
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
    if (base := unicodedata.normalize("NFD", chr(code))[0]).isascii()
}
_LATIN: dict[int, str | int] = {**_ACCENTED, **_LOOK_ALIKES}
_ACCENT = re.compile(r"[\u0300-\u036f]")  # left over where NFKC knows no composed letter
_DIGITS = "013457@$!|"
_DIGIT_LETTERS = str.maketrans(_DIGITS, "oieastasil")
_DIGIT_AND_LETTER = re.compile(rf"[a-z][{_DIGITS}]|[{_DIGITS}][a-z]")
# A digit inside a word, or after two letters: fr33 and cl1ck, but not the model name A55.
_SPELLED_WITH_DIGITS = re.compile(
    rf"(?<![a-z0-9])(?:[a-z]+[{_DIGITS}]+[a-z][a-z{_DIGITS}]*|[a-z]{{2,}}[{_DIGITS}]+|[{_DIGITS}][a-z]{{3,}})(?![a-z0-9])"
)


def _confusables(folded: View) -> View:
    text = folded.text if folded.text.isascii() else folded.text.translate(_LATIN)
    if _DIGIT_AND_LETTER.search(text):
        text = _SPELLED_WITH_DIGITS.sub(lambda word: word.group().translate(_DIGIT_LETTERS), text)
    if _ACCENT.search(text):
        kept = [position for position, char in enumerate(text) if not _ACCENT.match(char)]
        return folded.keep(kept, "".join([text[position] for position in kept]))
    return folded if text == folded.text else View(text, folded.starts, folded.ends)
