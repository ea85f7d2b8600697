"""What users like in a wording: its meaning, its words and its surface, weighed by numbers fitted on real headline
tests.

Real clicks follow meaning more than words (docs/reward_model.md): users who only counted words would be harder to learn
from than people.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.headline_model import surface
from trainer.reward_model.embed import CachedEncoder, Encoder, SentenceEncoder

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

    encoder: Encoder
    embedding: Floats
    words: Floats
    surface: Floats
    surface_mean: Floats
    surface_spread: Floats
    centre: float = 0.0
    spread: float = 1.0

    def appeal(self, texts: Sequence[str]) -> Floats:
        """[n] how much more a wording is liked than real headlines are, in their standard deviations; cut at ±3."""
        return np.clip((self.raw(texts) - self.centre) / self.spread, -3, 3)

    def raw(self, texts: Sequence[str]) -> Floats:
        shape = (surface(texts) - self.surface_mean) / self.surface_spread
        return np.asarray(
            self.encoder.encode(texts) @ self.embedding + hashed_words(texts) @ self.words + shape @ self.surface
        )

    @staticmethod
    def load(cache: Path | None = None) -> Taste:
        """The fitted numbers. cache: where vectors are kept."""
        encoder = SentenceEncoder()
        kept: dict[str, Any] = {
            name: np.array(value) for name, value in json.loads(NUMBERS.read_text(encoding="utf-8")).items()
        }
        return Taste(CachedEncoder(encoder, cache) if cache else encoder, **kept)

    def save(self) -> None:
        rounded = {
            part.name: np.round(getattr(self, part.name), 4).tolist() for part in fields(self) if part.name != "encoder"
        }
        NUMBERS.write_text(json.dumps(rounded) + "\n", encoding="utf-8")
