"""What users like in a wording: hashed words and the surface of a text, weighed by numbers fitted on real headline tests."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.headline_model import surface

Floats = npt.NDArray[np.float64]
BUCKETS = 1024
NUMBERS = Path(__file__).with_name("taste.json")
_WORD = re.compile(r"[^\W_]+(?:'\w+)?")


def words_of(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("’", "'"))


def hashed_words(texts: Sequence[str]) -> Floats:
    """[n, BUCKETS]: 1 where a text has a word of that bucket."""
    found = np.zeros((len(texts), BUCKETS))
    for row, text in enumerate(texts):
        found[row, [zlib.crc32(word.encode()) % BUCKETS for word in words_of(text)]] = 1
    return found


@dataclass(frozen=True)
class Taste:
    """Weights of expected log CTR; centre and spread of it over real headlines make `appeal` a z-score."""

    words: Floats
    surface: Floats
    surface_mean: Floats
    surface_spread: Floats
    centre: float
    spread: float

    def appeal(self, texts: Sequence[str]) -> Floats:
        """[n] how much more a wording is liked than real headlines are, in their standard deviations; cut at ±3."""
        return np.clip((self.raw(texts) - self.centre) / self.spread, -3, 3)

    def raw(self, texts: Sequence[str]) -> Floats:
        shape = (surface(texts) - self.surface_mean) / self.surface_spread
        return np.asarray(hashed_words(texts) @ self.words + shape @ self.surface)

    @staticmethod
    def load() -> Taste:
        kept = json.loads(NUMBERS.read_text(encoding="utf-8"))
        words, surface, mean, spread = (np.array(kept[name]) for name in ("words", "surface", "surface_mean", "surface_spread"))
        return Taste(words, surface, mean, spread, kept["centre"], kept["spread"])

    def save(self) -> None:
        rounded = {name: np.round(value, 4).tolist() for name, value in vars(self).items()}
        NUMBERS.write_text(json.dumps(rounded) + "\n", encoding="utf-8")
