"""Novelty: how little the log says about a text. The members of an ensemble also agree where none of them has seen
data, so their spread alone would not show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Novelty:
    """Posterior variance of a linear logit of text vectors (Laplace's approximation; MacKay 1992):

    Var(x) = (x - c)ᵀ (I/τ² + Σ_i n_i·p(1-p)·(x_i - c)(x_i - c)ᵀ)⁻¹ (x - c)

    Small where many impressions were logged of texts that point the same way, up to the prior's where none were.
    """

    centre: FloatArray  # [dim] c, mean of the training texts
    root: FloatArray  # [dim, dim], the posterior covariance is root·rootᵀ

    @staticmethod
    def fit(vectors: npt.NDArray[np.float32], information: FloatArray, spread: float) -> Novelty:
        """vectors [texts, dim] of training texts; information [texts] = n·p(1-p) of each; spread: the prior's SD of
        such texts' logits.
        """
        centre = np.average(vectors, axis=0, weights=information).astype(np.float64)
        x = vectors - centre
        precision = np.mean((x**2).sum(axis=1)) / spread**2
        factor = np.linalg.cholesky(x.T @ (x * information[:, None]) + precision * np.eye(x.shape[1]))
        return Novelty(centre, np.linalg.inv(factor).T)

    def variance(self, vectors: npt.NDArray[np.float32]) -> FloatArray:
        """[n] of vectors [n, dim]."""
        return np.asarray((((vectors - self.centre) @ self.root) ** 2).sum(axis=1))

    def save(self, path: Path) -> None:
        np.savez_compressed(path, centre=self.centre, root=self.root)

    @staticmethod
    def load(path: Path) -> Novelty:
        with np.load(path) as kept:
            return Novelty(kept["centre"], kept["root"])
