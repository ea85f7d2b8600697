"""How well users understand a text: the chance that it reads well, from the word model alone.

A reader who knows the offer expects its words and word pairs more than others, so half of each probability comes from
the advertiser's own sentences. The features are means and worst cases over words; a quadratic logistic model weighs
them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from benchmarks.market.facts import Offer
from benchmarks.market.words import END, ORDER, START, WordModel, sentences, tokens

Floats = npt.NDArray[np.float64]
NUMBERS = Path(__file__).with_name("comprehension.json")
WORST = 4  # words
_LIMIT = 3.0  # standard deviations of a feature


@dataclass(frozen=True)
class Comprehension:
    """Weights of the features, their squares and their products."""

    words: WordModel
    mean: Floats
    spread: Floats
    weights: Floats
    level: float

    def of(self, queries: Sequence[str], offers: Sequence[Offer], texts: Sequence[str]) -> Floats:
        """[n] P(reads well)."""
        if not texts:
            return np.zeros(0)
        read = [reading(self.words, *row) for row in zip(queries, offers, texts, strict=True)]
        return np.asarray(expit(quadratic(np.array(read), self.mean, self.spread) @ self.weights + self.level))

    @staticmethod
    def load() -> Comprehension:
        kept = json.loads(NUMBERS.read_text(encoding="utf-8"))
        level = float(kept.pop("level"))
        return Comprehension(WordModel.load(), **{name: np.array(value) for name, value in kept.items()}, level=level)

    def save(self) -> None:
        kept = {
            field.name: np.round(getattr(self, field.name), 5).tolist()
            for field in fields(self)
            if field.name != "words"
        }
        NUMBERS.write_text(json.dumps(kept) + "\n", encoding="utf-8")


def quadratic(features: Floats, mean: Floats, spread: Floats) -> Floats:
    """[n, k + k(k+1)/2] z-scores of the features, cut, with their squares and products."""
    z = np.clip((features - mean) / spread, -_LIMIT, _LIMIT)
    pairs = combinations_with_replacement(range(z.shape[1]), 2)
    return np.hstack([z, np.stack([z[:, left] * z[:, right] for left, right in pairs], axis=1)])


def reading(words: WordModel, query: str, offer: Offer, text: str) -> list[float]:
    """What of a text's wording a reader stumbles over."""
    own = _spoken(query, offer)
    found = sentences(text) or [("",)]
    general, known = _chances(words, found), _chances(own, found)
    joint = np.log((general + known) / 2)
    expected = joint[:, 0] - joint[:, 2]  # by how much the words before call for this one
    usual = np.log(general[:, 0] / general[:, 2])
    flat = [word for sentence in found for word in sentence]
    triples = [*zip(flat, flat[1:], flat[2:], strict=False)]
    long = [word for word in flat if len(word) > 3]
    unseen = (general[:, 1] <= 1.2 * general[:, 2]) & (known[:, 1] <= 1.2 * known[:, 2])
    return [
        joint[:, 0].mean(), _worst(joint[:, 0], WORST),
        expected.mean(), _worst(expected, WORST), float((expected < -0.5).mean()), np.minimum(expected, 1).mean(),
        usual.mean(), _worst(usual, WORST), np.log(general[:, 2]).mean(), _worst(joint[:, 2], 3), unseen.mean(),
        1 - len({*triples}) / max(1, len(triples)), 1 - len({*long}) / max(1, len(long)),
        float(len(joint)), float(len(found)), float(len(found[0])),
    ]  # fmt: skip


@lru_cache(256)
def _spoken(query: str, offer: Offer) -> WordModel:
    """The word model of the offer's own sentences."""
    return WordModel(filter(None, (tokens(line) for line in (query, *offer.searches, offer.name, *offer.lines))))


def _chances(model: WordModel, found: Sequence[Sequence[str]]) -> Floats:
    """[words, 3] the chance of each word and sentence end, after two, one and no words."""
    rows = []
    for sentence in found:
        padded = [START] * (ORDER - 1) + [*sentence, END]
        for at in range(ORDER - 1, len(padded)):
            before = tuple(padded[at - ORDER + 1 : at])
            rows.append([model.chance(padded[at], before[skip:]) for skip in range(ORDER)])
    return np.array(rows)


def _worst(values: Floats, count: int) -> float:
    return float(np.sort(values)[:count].mean())
