"""Chinese and Japanese words, and the English word list: where a word begins and ends, so that a term is never found
inside another word.

The segmenters are loaded when a text first needs them: rjieba for Chinese, Sudachi with its small dictionary for
Japanese.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_HAN_OR_KANA = re.compile(r"[\u3041-\u30fa\u3400-\u9fff]")
_KATAKANA = re.compile(r"[\u30a1-\u30fc]")


@dataclass(frozen=True, slots=True)
class Word:
    """One segment of a text."""

    start: int
    end: int
    kind: str  # its part of speech: ns for a Chinese place; 地名 for a Japanese one
    listed: bool  # stands in the dictionary, rather than guessed


class Words:
    """The words of one text, cut when first asked for."""

    def __init__(self, text: str, language: str) -> None:
        self.text = text
        self.japanese = language == "ja" or KANA.search(text) is not None
        self._words: Sequence[Word] | None = None
        self._at: list[Word] = []

    @property
    def words(self) -> Sequence[Word]:
        """The segments, in reading order, without gaps."""
        if self._words is None:
            self._words = _japanese(self.text) if self.japanese else _chinese(self.text)
            self._at = [word for word in self._words for _ in range(word.end - word.start)]
        return self._words

    def at(self, position: int) -> Word:
        """The word that holds the character at this position."""
        return self.words and self._at[position]  # type: ignore[return-value]

    def cuts(self, start: int, end: int) -> bool:
        """True where text[start:end] begins or ends inside a word of the dictionary.

        A word that ends with it is a kind of it (放射治疗 is 治疗). Seven characters and more are no coincidence.
        """
        if not (_is_written_together(self.text, start) or _is_written_together(self.text, end)):
            return False
        katakana = _KATAKANA.match(self.text, start) is not None
        if not katakana and end - start > _NO_COINCIDENCE:
            return False
        first, last = self.at(start), self.at(end - 1)
        if (
            first.start < start
            and (first.listed or katakana)
            and not (first is last and first.end == end and not katakana)
        ):
            return True
        return last.end > end and (last.listed or katakana)


_NO_COINCIDENCE = 6


def _is_written_together(text: str, border: int) -> bool:
    """True where Chinese or Japanese characters stand on both sides."""
    return 0 < border < len(text) and bool(_HAN_OR_KANA.match(text, border - 1) and _HAN_OR_KANA.match(text, border))


def _chinese(text: str) -> list[Word]:
    import rjieba

    words, start = [], 0
    for surface, kind in rjieba.tag(text):
        words.append(Word(start, start + len(surface), kind, len(surface) == 1 or _listed(surface)))
        start += len(surface)
    return words


@cache
def _segmenter() -> Any:
    from sudachipy import Dictionary

    return Dictionary(dict="small").tokenizer()


def _japanese(text: str) -> list[Word]:
    words, end = [], 0
    for morpheme in _segmenter().tokenize(text):
        if morpheme.begin() > end:  # Sudachi leaves nothing out but what it normalises away
            words.append(Word(end, morpheme.begin(), "", False))
        end = morpheme.end()
        parts = morpheme.part_of_speech()
        kind = "地名" if parts[2] == "地名" else "数詞" if parts[1] == "数詞" or parts[2] == "数詞" else parts[0]
        words.append(Word(morpheme.begin(), end, kind, not morpheme.is_oov()))
    if end < len(text):
        words.append(Word(end, len(text), "", False))
    return words


@lru_cache(maxsize=65536)
def _listed(surface: str) -> bool:
    import rjieba

    return bool(rjieba.has_word(surface))


@cache
def english_words() -> frozenset[str]:
    """Common English words in lower case."""
    return frozenset(lines("english.txt"))


def lines(name: str) -> list[str]:
    """The lines of a data file, without comments."""
    text = resources.files("adtext").joinpath("data", name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def each(words: str) -> list[str]:
    """The words of a table that is written as one string."""
    return words.split()
