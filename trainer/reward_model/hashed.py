"""The held-out reward model's encoder: hashed words and characters reduced by SVD (singular value decomposition). It
shares nothing learned with a neural encoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer  # type: ignore[import-untyped]
from sklearn.utils.extmath import randomized_svd  # type: ignore[import-untyped]

from trainer.reward_model.embed import Vectors

COMPONENTS = 96  # SVD components, for words and for characters each
_WORDS = HashingVectorizer(
    analyzer="word", token_pattern=r"[^\W_]+", ngram_range=(1, 2), n_features=2**14, alternate_sign=False
)
_CHARACTERS = HashingVectorizer(analyzer="char_wb", ngram_range=(1, 4), n_features=2**14, alternate_sign=False)


@dataclass(frozen=True)
class HashedEncoder:
    """Latent semantic analysis of words and of characters (works in any language), one unit vector per kind."""

    name: str
    words: npt.NDArray[np.float32]  # [n_features, components]
    characters: npt.NDArray[np.float32]

    @property
    def dim(self) -> int:
        return int(self.words.shape[1] + self.characters.shape[1])

    @staticmethod
    def fit(strings: Sequence[str]) -> HashedEncoder:
        """Components from the training strings; equal strings give an equal encoder."""
        unique = sorted(set(strings))
        blocks = _components(_WORDS.transform(unique)), _components(_CHARACTERS.transform(unique))
        digest = hashlib.sha256("\n".join(unique).encode()).hexdigest()[:12]
        return HashedEncoder(f"hashed@{digest}", *blocks)

    def encode(self, strings: Sequence[str]) -> Vectors:
        kinds = (_WORDS, self.words), (_CHARACTERS, self.characters)
        return np.hstack([_unit(vectorise.transform(strings) @ components) for vectorise, components in kinds]).astype(
            np.float32
        )

    def save(self, path: Path) -> None:
        words, characters = (components.astype(np.float16) for components in (self.words, self.characters))
        np.savez_compressed(path, name=self.name, words=words, characters=characters)

    @staticmethod
    def load(path: Path) -> HashedEncoder:
        with np.load(path) as kept:
            words, characters = (kept[block].astype(np.float32) for block in ("words", "characters"))
            return HashedEncoder(str(kept["name"]), words, characters)


def _components(matrix: sparse.csr_matrix) -> npt.NDArray[np.float32]:
    rank = max(1, min(COMPONENTS, min(matrix.shape) - 1))
    _, values, rows = randomized_svd(matrix, n_components=rank, n_iter=2, random_state=0)
    del values
    # what `save` keeps, so that a loaded encoder gives the same vectors
    return np.asarray(rows.T, dtype=np.float16).astype(np.float32)


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6))
