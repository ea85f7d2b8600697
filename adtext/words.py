"""Chinese and Japanese words, and the English word list: where a word begins and ends, so that a term is never found
inside another word.

The segmenters are loaded when a text first needs them: rjieba for Chinese, Sudachi with its small dictionary for
Japanese.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib import resources
from typing import Any, NamedTuple

KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_KATAKANA = re.compile(r"[\u30a1-\u30fc]")


class Word(NamedTuple):
    """One segment of a text."""

    start: int
    end: int
    listed: bool  # stands in the dictionary, rather than guessed
    kind: str = ""  # part of speech of a Japanese word: 数詞, 地名


class Words:
    """The words of one text, cut when first asked for."""

    def __init__(self, text: str, language: str) -> None:
        self.text = text
        self.japanese = language == "ja" or KANA.search(text) is not None
        self._words: list[Word] | None = None
        self._at: list[int] = []
        self._kinds: dict[int, str] | None = None

    @property
    def words(self) -> list[Word]:
        """The segments, in reading order, without gaps."""
        if self._words is None:
            self._words = _japanese(self.text) if self.japanese else _chinese(self.text)
            self._at = [number for number, word in enumerate(self._words) for _ in range(word.end - word.start)]
        return self._words

    def kind(self, word: Word) -> str:
        """Its part of speech: m, n, ns in Chinese, 数詞, 地名 in Japanese."""
        if self.japanese:
            return word.kind
        if self._kinds is None:
            self._kinds = _chinese_kinds(self.text)
        return self._kinds.get(word.start, "")

    def at(self, position: int) -> Word:
        """The word that holds the character at this position."""
        words = self.words
        return words[self._at[position]]

    def cuts(self, start: int, end: int, *, kinds: bool = True) -> bool:
        """True where text[start:end] begins or ends inside a word of the dictionary.

        A word that ends with it is a kind of it (放射治疗 is 治疗), where `kinds` holds: 贞操 is none of 操. Seven
        characters and more are no coincidence.
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
            and not (kinds and first is last and first.end == end and not katakana)
        ):
            return True
        return last.end > end and (last.listed or katakana)


_NO_COINCIDENCE = 6


def _is_written_together(text: str, border: int) -> bool:
    """True where Chinese or Japanese characters stand on both sides."""
    return 0 < border < len(text) and _is_east_asian(text[border]) and _is_east_asian(text[border - 1])


def _is_east_asian(char: str) -> bool:
    return "\u3400" <= char <= "\u9fff" or "\u3041" <= char <= "\u30fa"


def _chinese(text: str) -> list[Word]:
    import rjieba

    words, start = [], 0
    for surface in rjieba.cut(text):
        end = start + len(surface)
        words.append(Word(start, end, end - start == 1 or _listed(surface)))
        start = end
    return words


def _chinese_kinds(text: str) -> dict[int, str]:
    """The part of speech of the word that begins at each place."""
    import rjieba

    kinds, start = {}, 0
    for surface, kind in rjieba.tag(text):
        kinds[start] = kind
        start += len(surface)
    return kinds


@cache
def _segmenter() -> Any:
    from sudachipy import Dictionary

    return Dictionary(dict="small").tokenizer()


_AT_ONCE = 4_000  # characters; Sudachi takes 49,149 bytes


def _japanese(text: str) -> list[Word]:
    words: list[Word] = []
    for offset in range(0, len(text), _AT_ONCE):
        part, end = text[offset : offset + _AT_ONCE], 0
        for morpheme in _segmenter().tokenize(part):
            if morpheme.begin() > end:
                words.append(Word(offset + end, offset + morpheme.begin(), False))
            end = morpheme.end()
            parts = morpheme.part_of_speech()
            kind = "地名" if parts[2] == "地名" else "数詞" if "数詞" in parts[1:3] else parts[0]
            words.append(Word(offset + morpheme.begin(), offset + end, not morpheme.is_oov(), kind))
        if end < len(part):
            words.append(Word(offset + end, offset + len(part), False))
    return words


@lru_cache(maxsize=65536)
def _listed(surface: str) -> bool:
    import rjieba

    return bool(rjieba.has_word(surface))


def language_of(text: str) -> str:
    """`en`, `zh` or `ja`, by the script alone."""
    return "ja" if KANA.search(text) else "en" if text.isascii() else "zh"


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
