"""The held-out judge's encoder: hashed words and characters reduced by SVD, beside surface features; nothing shared with a neural one."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer  # type: ignore[import-untyped]
from sklearn.utils.extmath import randomized_svd  # type: ignore[import-untyped]

from trainer.reward_model.embed import Vectors

COMPONENTS = 96  # of the SVD, for words and for characters each
_WORDS = HashingVectorizer(analyzer="word", token_pattern=r"[^\W_]+", ngram_range=(1, 2), n_features=2**14, alternate_sign=False)
_CHARACTERS = HashingVectorizer(analyzer="char_wb", ngram_range=(1, 4), n_features=2**14, alternate_sign=False)
_QUESTION = ("why", "how", "what", "who", "when", "where", "which")


@dataclass(frozen=True)
class HashedEncoder:
    """Latent semantic analysis of words and of characters (works in any language), then surface features, one block a kind."""

    name: str
    words: npt.NDArray[np.float32]  # [n_features, components]
    characters: npt.NDArray[np.float32]
    surface_mean: npt.NDArray[np.float32]
    surface_scale: npt.NDArray[np.float32]

    @property
    def dim(self) -> int:
        return int(self.words.shape[1] + self.characters.shape[1]) + len(self.surface_mean)

    @staticmethod
    def fit(strings: Sequence[str]) -> HashedEncoder:
        """Components and scales from the training strings; equal strings give an equal encoder."""
        unique = sorted(set(strings))
        shape = surface(unique)
        blocks = _components(_WORDS.transform(unique)), _components(_CHARACTERS.transform(unique))
        digest = hashlib.sha256("\n".join(unique).encode()).hexdigest()[:12]
        return HashedEncoder(f"hashed@{digest}", *blocks, shape.mean(axis=0), shape.std(axis=0) + np.float32(1e-3))

    def encode(self, strings: Sequence[str]) -> Vectors:
        kinds = (_WORDS, self.words), (_CHARACTERS, self.characters)
        latent = [_unit(vectorise.transform(strings) @ components) for vectorise, components in kinds]
        shape = np.clip((surface(strings) - self.surface_mean) / self.surface_scale, -3, 3) / np.sqrt(len(self.surface_mean))
        return np.hstack([*latent, shape]).astype(np.float32)

    def save(self, path: Path) -> None:
        words, characters = (components.astype(np.float16) for components in (self.words, self.characters))
        np.savez_compressed(path, name=self.name, words=words, characters=characters, mean=self.surface_mean, scale=self.surface_scale)

    @staticmethod
    def load(path: Path) -> HashedEncoder:
        with np.load(path) as kept:
            words, characters = (kept[block].astype(np.float32) for block in ("words", "characters"))
            return HashedEncoder(str(kept["name"]), words, characters, kept["mean"], kept["scale"])


def surface(strings: Sequence[str]) -> Vectors:
    """[n, 14] how a text is shaped, whatever it says: length, words, digits, punctuation, case, script, questions, address."""
    return np.array([_surface(string) for string in strings], dtype=np.float32).reshape(len(strings), 14)


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
        float(len(re.findall(r"\b(this|these|that|here|it)\b|[这這那此]", lower))),
    ]


def _components(matrix: sparse.csr_matrix) -> npt.NDArray[np.float32]:
    rank = max(1, min(COMPONENTS, min(matrix.shape) - 1))
    _, values, rows = randomized_svd(matrix, n_components=rank, n_iter=2, random_state=0)
    del values
    return np.asarray(rows.T, dtype=np.float16).astype(np.float32)  # what `save` keeps, so that a loaded encoder gives the same vectors


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6))
