"""How good predicted rates are, on counted cells: AUC, log-loss, calibration error, and order inside a brief, which is
what GRPO uses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy
from scipy.stats import norm

from trainer.bootstrap import Interval, bootstrap

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def auc(score: FloatArray, positives: FloatArray, negatives: FloatArray) -> float:
    """P(score of a positive > score of a negative), ties half: the area under the ROC curve of counted outcomes. NaN
    without both kinds.
    """
    values, inverse = np.unique(score, return_inverse=True)
    up, down = (np.bincount(inverse, weights=counts, minlength=len(values)) for counts in (positives, negatives))
    pairs = up.sum() * down.sum()
    return float((up * (np.cumsum(down) - down / 2)).sum() / pairs) if pairs else float("nan")


def within_brief_auc(score: FloatArray, positives: FloatArray, negatives: FloatArray, brief: IntArray) -> float:
    """The same over pairs of one brief only: how often the text that won was scored above the one that did not. NaN
    without pairs.
    """
    won, pairs = _pairs_by_brief(score, positives, negatives, brief)
    return float(won.sum() / pairs.sum()) if pairs.sum() else float("nan")


def _pairs_by_brief(
    score: FloatArray, positives: FloatArray, negatives: FloatArray, brief: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Per brief: the number of pairs in the right order (ties half), and the number of pairs."""
    order = np.lexsort((score, brief))
    score, up, down, brief = score[order], positives[order], negatives[order], brief[order]
    _, first, number = np.unique(brief, return_index=True, return_inverse=True)
    below = np.cumsum(down) - down
    below -= below[first][number]  # negatives of the brief ranked before this cell
    new = np.r_[True, (np.diff(score) > 0) | (np.diff(brief) > 0)]
    tie = np.cumsum(new) - 1
    tied = np.bincount(tie, weights=down)[tie]
    start = below[np.flatnonzero(new)][tie]  # negatives strictly below the cell's score
    won = np.bincount(number, weights=up * (start + tied / 2))
    pairs = np.bincount(number, weights=up) * np.bincount(number, weights=down)
    return np.asarray(won, dtype=np.float64), np.asarray(pairs, dtype=np.float64)


def log_loss(p: FloatArray, successes: FloatArray, trials: FloatArray) -> float:
    """Mean negative log-likelihood of a trial, in nats."""
    return float(-(xlogy(successes, p) + xlogy(trials - successes, 1 - p)).sum() / trials.sum())


def calibration_table(p: FloatArray, successes: FloatArray, trials: FloatArray, bins: int = 10) -> FloatArray:
    """[bins, 3]: trials, mean prediction and observed rate in bins of equal trials, lowest predictions first."""
    order = np.argsort(p, kind="stable")
    p, successes, trials = p[order], successes[order], trials[order]
    reached = np.cumsum(trials)
    number = np.minimum(((reached - trials / 2) / reached[-1] * bins).astype(int), bins - 1)
    n, predicted, observed = (
        np.bincount(number, weights=values, minlength=bins) for values in (trials, p * trials, successes)
    )
    kept = n > 0
    return np.stack([n[kept], predicted[kept] / n[kept], observed[kept] / n[kept]], axis=1)


def calibration_error(p: FloatArray, successes: FloatArray, trials: FloatArray, bins: int = 10) -> float:
    """Expected calibration error (Naeini et al. 2015): mean |prediction - rate| over bins of equal trials, weighted by
    trials.
    """
    n, predicted, observed = calibration_table(p, successes, trials, bins).T
    return float((n * np.abs(predicted - observed)).sum() / n.sum())


def within_brief_correlation(
    score: FloatArray, truth: FloatArray, brief: IntArray, weights: FloatArray | None = None
) -> float:
    """Pearson correlation of score and truth after each brief's mean is taken off both. NaN when one never varies
    inside a brief.

    weights [N], the same for a whole brief: how often it counts.
    """
    number = np.unique(brief, return_inverse=True)[1]
    sizes = np.bincount(number)
    s, t = (values - (np.bincount(number, weights=values) / sizes)[number] for values in (score, truth))
    w = np.ones(len(s)) if weights is None else weights
    scale = np.sqrt((w * s**2).sum() * (w * t**2).sum())
    return float((w * s * t).sum() / scale) if scale else float("nan")


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts that competed in one test: better and worse index texts, p_value two-sided for equal rates, group
    for intervals.
    """

    better: IntArray
    worse: IntArray
    p_value: FloatArray
    group: IntArray


def competing_pairs(test: IntArray, group: IntArray, successes: FloatArray, trials: FloatArray) -> Pairs:
    """Every pair of one test with unequal rates; p from the pooled two-proportion z-test. All arrays [N]."""
    order = np.argsort(test, kind="stable")
    runs = np.split(order, np.flatnonzero(np.diff(test[order])) + 1)
    sides = [run[np.array(np.triu_indices(len(run), 1))] for run in runs]
    ahead, behind = np.concatenate(sides, axis=1)
    rate = successes / trials
    pooled = (successes[ahead] + successes[behind]) / (trials[ahead] + trials[behind])
    se = np.sqrt(pooled * (1 - pooled) * (1 / trials[ahead] + 1 / trials[behind]))
    unequal = rate[ahead] != rate[behind]
    ahead, behind, se = ahead[unequal], behind[unequal], se[unequal]
    swap = rate[ahead] < rate[behind]
    better, worse = np.where(swap, behind, ahead), np.where(swap, ahead, behind)
    p_value = 2 * norm.sf((rate[better] - rate[worse]) / se)
    return Pairs(better, worse, p_value, group[better])


def pair_accuracy(score: FloatArray, pairs: Pairs, level: float, *, rounds: int = 1000) -> tuple[Interval, int]:
    """Share of pairs significant at `level` whose better text has the higher score (ties half), by group bootstrap; and
    their number.
    """
    chosen = pairs.p_value < level
    gap = score[pairs.better[chosen]] - score[pairs.worse[chosen]]
    right = (np.sign(gap) + 1) / 2

    def share(weights: FloatArray) -> float:
        return float(np.average(right, weights=weights)) if weights.sum() else float("nan")

    return bootstrap(share, pairs.group[chosen], rounds=rounds), int(chosen.sum())
