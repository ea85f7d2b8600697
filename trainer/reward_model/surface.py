"""Surface features of a text: sentence encoders hardly tell a headline from the same headline with a question mark.

On real headline tests surface features beside MiniLM order significant pairs better than MiniLM alone
(docs/reward_model.md).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer.reward_model.embed import Encoder, Vectors

FEATURES = 14
_QUESTION = ("why", "how", "what", "who", "when", "where", "which")


@dataclass(frozen=True)
class ShapedEncoder:
    """Another encoder's vectors, then surface features: z-scores over the texts it was fitted on; about a unit vector's
    length.
    """

    encoder: Encoder
    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]

    @property
    def name(self) -> str:
        return f"{self.encoder.name}+surface"

    @property
    def dim(self) -> int:
        return self.encoder.dim + FEATURES

    @staticmethod
    def fit(encoder: Encoder, texts: Sequence[str]) -> ShapedEncoder:
        shape = surface(sorted(set(texts)))
        return ShapedEncoder(encoder, shape.mean(axis=0), shape.std(axis=0) + np.float32(1e-3))

    def encode(self, strings: Sequence[str]) -> Vectors:
        shape = np.clip((surface(strings) - self.mean) / self.scale, -3, 3) / np.sqrt(FEATURES)
        return np.hstack([self.encoder.encode(strings), shape]).astype(np.float32)

    def save(self, path: Path) -> None:
        np.savez_compressed(path, mean=self.mean, scale=self.scale)

    @staticmethod
    def load(encoder: Encoder, path: Path) -> ShapedEncoder:
        with np.load(path) as kept:
            return ShapedEncoder(encoder, kept["mean"], kept["scale"])


def surface(strings: Sequence[str]) -> Vectors:
    """[n, 14] how a text is shaped, whatever it says: length, words, digits, punctuation, case, script, questions,
    address.
    """
    return np.array([_surface(string) for string in strings], dtype=np.float32).reshape(len(strings), FEATURES)


def _surface(string: str) -> list[float]:
    words = string.split()
    lower = string.lower()
    width = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in string)
    letters = max(1, sum(character.isalpha() for character in string))
    return [
        np.log1p(width),
        (width / 60) ** 2,
        np.log1p(len(words)),
        float(any(character.isdigit() for character in string)),
        float(sum(string.count(mark) for mark in ".。")),
        float(sum(string.count(mark) for mark in "!！")),
        float(sum(string.count(mark) for mark in "?？")),
        float(sum(string.count(mark) for mark in ",，、:：;；")),
        float(sum(string.count(mark) for mark in "\"'“”‘’「」")),
        sum(character.isupper() for character in string) / letters,
        (width - len(string)) / max(1, len(string)),
        float(lower.startswith(_QUESTION)),
        float(len(re.findall(r"\b(you|your)\b|[您你]", lower))),
        float(len(re.findall(r"\b(this|these|that|here|it)\b|[这这那此]", lower))),
    ]
