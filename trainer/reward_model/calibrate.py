"""Calibration of predicted rates: Platt's slope and shift for each rate, fitted on groups without a training step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

FloatArray = npt.NDArray[np.float64]
_STEPS = 50
_PRIOR = 1e-2  # weight of a prior slope of 1, in observations: keeps the fit of a constant score solvable


@dataclass(frozen=True)
class Calibration:
    """logit p = slope · logit + shift. A positive slope: the order of texts is kept."""

    slope: float = 1.0
    shift: float = 0.0

    def __call__(self, logit: FloatArray) -> FloatArray:
        """Calibrated logits."""
        return self.slope * logit + self.shift


def fit_calibration(logit: FloatArray, successes: FloatArray, trials: FloatArray) -> Calibration:
    """Platt scaling by binomial maximum likelihood (Platt 1999), Newton's method on slope and shift; all arrays [N].

    ValueError when there is nothing to fit, or when the fitted slope is not positive: the scores then order held-out
    texts the wrong way.
    """
    total, positives = trials.sum(), successes.sum()
    if not 0 < positives < total:
        raise ValueError(
            f"{positives:g} successes in {total:g} held-out trials: calibration needs some of both, so hold out more "
            "groups"
        )
    centre = float(np.average(logit, weights=trials))
    x = np.stack([logit - centre, np.ones_like(logit)])
    prior = np.diag([_PRIOR, 0.0])
    beta = np.array([1.0, np.log(positives / (total - positives))])
    for _ in range(_STEPS):
        p = expit(beta @ x)
        gradient = x @ (successes - trials * p) - prior @ (beta - np.array([1.0, 0.0]))
        step = np.linalg.solve((x * (trials * p * (1 - p))) @ x.T + prior, gradient)
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    slope = float(beta[0])
    if slope <= 0:
        raise ValueError(
            f"the scores order held-out groups the wrong way (slope {slope:.3g}): train on more data, or longer"
        )
    return Calibration(slope, float(beta[1]) - slope * centre)
