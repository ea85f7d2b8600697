"""The users' word model: how likely a word is after the two before it, by back-off n-grams (Witten and Bell 1991).

Fitted on sentences of the users' half: headlines, and what its advertisers say (words.txt.gz, one sentence a line).
"""

from __future__ import annotations

import gzip
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

SENTENCES = Path(__file__).with_name("words.txt.gz")
ORDER = 3
VOCABULARY = 50_000  # words that a reader may know
START, END = "<s>", "</s>"
_TOKEN = re.compile(r"[^\W\d_]+(?:['\-][^\W\d_]+)*|[£$€¥]?\d[\d.,:/]*%?[a-z]*|[.,;:!?—–()]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n")


def tokens(text: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(text.lower().replace("’", "'")))


def sentences(text: str) -> list[tuple[str, ...]]:
    """The sentences of a text, field by field, those without words left out."""
    return [found for part in _SENTENCE_END.split(text) if (found := tokens(part))]


class WordModel:
    """Counts of words after 0, 1 and 2 others."""

    def __init__(self, lines: Iterable[Sequence[str]]) -> None:
        self._after: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for line in lines:
            padded = [START] * (ORDER - 1) + [*line, END]
            for at in range(ORDER - 1, len(padded)):
                for length in range(ORDER):
                    self._after[tuple(padded[at - length : at])][padded[at]] += 1
        self._total = {history: counts.total() for history, counts in self._after.items()}

    def chance(self, word: str, history: tuple[str, ...] = ()) -> float:
        """P(word | history): each order is weighed by how seldom its history was followed by something new."""
        chance = 1 / VOCABULARY
        for length in range(len(history) + 1):
            followers = self._after.get(history[len(history) - length :])
            if followers is None:
                break
            new = len(followers)
            chance = (followers.get(word, 0) + new * chance) / (self._total[history[len(history) - length :]] + new)
        return chance

    @staticmethod
    @cache
    def load() -> WordModel:
        with gzip.open(SENTENCES, "rt", encoding="utf-8") as lines:
            return WordModel(line.split() for line in lines)
