"""What wins a headline test: a linear model of four kinds of features, fitted on differences within tests by
generalised least squares.

    log CTR of a package = w·x(headline) + test effect + picture effect + noise

The test effect has a wide prior, so only differences within a test teach. Packages of a test that share a picture
share its effect. Noise has the binomial variance of log CTR, 1/clicks, and more for what varied unrecorded. Weights
have a Gaussian prior, one scale a kind of feature: ridge regression, solved exactly. Pairwise logistic regression
throws away by how much a headline won; this does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.linalg import solve
from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
from sklearn.utils.extmath import randomized_svd  # type: ignore[import-untyped]

from trainer.reward_model.embed import Encoder

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# prior SD of a weight; by cross-validation
SCALES = {"embedding": 0.06, "words": 0.09, "characters": 0.03, "surface": 0.02}
TEST_SD, PICTURE_SD, UNRECORDED_VARIANCE = 3.0, 0.15, 0.01  # standard deviations and variance of log CTR
COMPONENTS = 300  # SVD components per TF-IDF matrix
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(he|him|his|she|her)\b",
        r"\b(you|your)\b",
        r"\b(i|my|me|we|our)\b",
        r"\b(it|this|these|that|here)\b",
        r"\b(not|no|never)\b|n't",
        r"^(why|how|what|who|when|where)\b",
        r"^an? ",
        r"^(this|these|that)\b",
        r"^the ",
        r"^\d",
        r"\bone ",
        r"\bjust\b",
        r"\d",
        r"[.!?]+\s",
    )
)
_MARKS = ".!?,'\":-…"


@dataclass(frozen=True)
class Packages:
    """N packages of headline tests. test, picture and group are numbers; risky marks the window of doubtful
    assignment.
    """

    headline: tuple[str, ...]
    test: Ints
    picture: Ints
    group: Ints  # story group, the unit of every split
    group_names: tuple[str, ...]
    risky: npt.NDArray[np.bool_]
    impressions: Floats
    clicks: Floats

    def where(self, chosen: npt.NDArray[np.bool_]) -> Packages:
        headline = tuple(np.array(self.headline, dtype=object)[chosen])
        test, picture, group = (values[chosen] for values in (self.test, self.picture, self.group))
        counts = self.impressions[chosen], self.clicks[chosen]
        return Packages(headline, test, picture, group, self.group_names, self.risky[chosen], *counts)


def read_packages(folder: Path) -> Packages:
    """packages.csv.gz of the headline tests."""
    rows = pd.read_csv(folder / "packages.csv.gz", dtype={"eyecatcher_id": str})
    picture = rows["clickability_test_id"] + " " + rows["eyecatcher_id"].fillna("")
    group, names = pd.factorize(rows["story_group"], sort=True)
    return Packages(
        tuple(rows["headline"].str.strip()),
        pd.factorize(rows["clickability_test_id"])[0],
        pd.factorize(picture)[0],
        group,
        tuple(names),
        rows["in_randomization_risk_window"].to_numpy(dtype=bool),
        rows["impressions"].to_numpy(float),
        rows["clicks"].to_numpy(float),
    )


def surface(headlines: Sequence[str]) -> Floats:
    """[n, 28] shape of a headline: length, case, marks, pronouns, openings."""
    return np.array([_surface(headline) for headline in headlines])


def _surface(headline: str) -> list[float]:
    words, lower = headline.split(), headline.lower()
    count = max(1, len(words))
    length = len(headline) / 50
    shape = [length, length**2, len(words) / 10, sum(map(len, words)) / count]
    case = [
        sum(word[:1].isupper() for word in words) / count,
        float(sum(word.isupper() and len(word) > 1 for word in words)),
    ]
    marks = [float(headline.count(mark)) for mark in _MARKS]
    return [*shape, *case, *marks, *(float(len(pattern.findall(lower))) for pattern in _PATTERNS)]


@dataclass(frozen=True)
class Features:
    """Fitted on training headlines alone; `blocks` gives each kind's matrix for any headlines."""

    encoder: Encoder
    words: TfidfVectorizer
    characters: TfidfVectorizer
    word_axes: Floats
    character_axes: Floats
    centre: Floats
    spread: Floats

    @staticmethod
    def fit(headlines: Sequence[str], encoder: Encoder) -> Features:
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True, token_pattern=r"(?u)\b\w\w+\b")
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=5, sublinear_tf=True)
        axes: list[Floats] = []
        for vectoriser in (words, characters):
            _, _, rows = randomized_svd(
                vectoriser.fit_transform(headlines), n_components=COMPONENTS, n_iter=3, random_state=0
            )
            axes.append(rows.T)
        shape = surface(headlines)
        return Features(encoder, words, characters, axes[0], axes[1], shape.mean(axis=0), shape.std(axis=0) + 1e-9)

    def blocks(self, headlines: Sequence[str]) -> dict[str, Floats]:
        shape = (surface(headlines) - self.centre) / self.spread
        return {
            "length": shape[:, :1],
            "embedding": self.encoder.encode(headlines).astype(float),
            "words": self.words.transform(headlines) @ self.word_axes,
            "characters": self.characters.transform(headlines) @ self.character_axes,
            "surface": shape / np.sqrt(shape.shape[1]),
        }


def fit_weights(blocks: Mapping[str, Floats], packages: Packages, scales: Mapping[str, float]) -> dict[str, Floats]:
    """The posterior mean of every weight, by block."""
    x = np.hstack([scale * blocks[kind] for kind, scale in scales.items()])
    y = np.log((packages.clicks + 0.5) / (packages.impressions + 1))
    x, y = _whitened(x, y - y.mean(), packages)
    weights = solve(x.T @ x + np.eye(x.shape[1]), x.T @ y, assume_a="pos")
    ends = np.cumsum([blocks[kind].shape[1] for kind in scales])[:-1]
    return {kind: scale * part for (kind, scale), part in zip(scales.items(), np.split(weights, ends), strict=True)}


def predict(blocks: Mapping[str, Floats], weights: Mapping[str, Floats]) -> Floats:
    """Expected log CTR, up to the test's own level."""
    return np.asarray(sum(blocks[kind] @ part for kind, part in weights.items()))


def _whitened(x: Floats, y: Floats, packages: Packages) -> tuple[Floats, Floats]:
    """Rows turned by L⁻¹ of each test's covariance LLᵀ: afterwards least squares is right."""
    x, y = x.copy(), y.copy()
    noise = 1 / (packages.clicks + 0.5) + UNRECORDED_VARIANCE
    order = np.argsort(packages.test, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(packages.test[order])) + 1):
        picture = packages.picture[rows]
        covariance = np.diag(noise[rows]) + TEST_SD**2 + PICTURE_SD**2 * (picture[:, None] == picture[None])
        inverse = np.linalg.inv(np.linalg.cholesky(covariance))
        x[rows], y[rows] = inverse @ x[rows], inverse @ y[rows]
    return x, y
