"""From scores to probabilities and thresholds, on texts that the scoring model was not trained on."""

from __future__ import annotations

import numpy as np

from adtext.judge import Thresholds
from trainer.bootstrap import FloatArray
from trainer.config import JudgeConfig
from trainer.judge.examples import Examples
from trainer.scoring.judge import Platt


def platt(log_odds: FloatArray, outcome: FloatArray) -> Platt:
    """Fit P = σ(slope · log-odds + offset) (Platt 1999)."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    fitted = LogisticRegression(C=100.0).fit(log_odds[:, None], outcome)
    return Platt(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))


def thresholds(examples: Examples, publishable: FloatArray, config: JudgeConfig) -> Thresholds:
    """Serve: the lowest score that lets no more than the config's share of each fault through. Review: the score that
    `review_keeps` of the good texts reach.
    """
    drawn = examples.column("drawn").astype(bool)
    kinds, publishable = examples.column("kind")[drawn], publishable[drawn]
    limits = {"false": config.most_false, "mangled": config.most_mangled, "clumsy": config.most_clumsy}
    good = ("good", "reference", "composed")
    limits |= {kind: config.most_corrupted for kind in set(kinds) if kind not in (*good, *limits)}
    serve = max(_least(publishable[kinds == kind], most) for kind, most in limits.items())
    review = float(np.quantile(publishable[kinds == "good"], 1 - config.review_keeps))
    return Thresholds(serve=round(serve, 4), review=round(min(review, serve), 4))


def _least(scores: FloatArray, most: float) -> float:
    """The lowest threshold that at most this share of the scores reaches."""
    allowed = int(most * len(scores))
    if allowed >= len(scores):
        return 0.0
    return float(np.nextafter(np.sort(scores)[::-1][allowed], 2)) + 1e-4


def calibration_error(probability: FloatArray, outcome: FloatArray, bins: int = 10) -> float:
    """Expected calibration error over bins of equal size."""
    order = np.argsort(probability)
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(
        sum(len(part) * abs(probability[part].mean() - outcome[part].mean()) for part in parts) / len(probability)
    )
