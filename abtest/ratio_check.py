"""The sample-ratio check: were units assigned to the arms in the configured proportions? On alarm the arms cannot be
compared.

Fabijan et al., KDD 2019, give the causes: lost events, bots, redirects, wrong weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, prod
from typing import Any

import numpy as np
from scipy.special import chdtrc, gammaln, logsumexp, xlogy

SAMPLE_RATIO_ALARM = 0.001  # p: assignment is a hash, so a smaller p means lost units, not chance
EXACT_BELOW = 10  # expected units in an arm: chi-square raises false alarms there

_LARGEST_TABLE = 1_000_000  # outcomes that the exact test enumerates; with more it draws a sample
_DRAWS = 99_999
_TIE = 1e-7  # relative: two outcomes that are equally probable, but for rounding


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether units were assigned to the arms in the configured proportions. On alarm no verdict may be shown."""

    p_value: float | None  # None with fewer than two arms of positive weight, or without units
    alarm: bool
    unexpected: tuple[int, ...] = ()  # arms of weight zero that have units; they raise the alarm by themselves
    note: str = ""


def sample_ratio(counts: Sequence[int], weights: Sequence[float]) -> SampleRatio:
    """Compare the units per arm with the configured weights, for one look; alarm at p < 0.001.

    Pearson's χ² = Σ (O - E)²/E with k - 1 degrees of freedom; the exact multinomial test where an expected count is
    under 10. Weights need not sum to one. An arm of weight zero expects no units: it is left out of the test, and any
    unit in it raises the alarm.
    """

    def p_value(observed: Sequence[int], shares: Sequence[float]) -> float:
        expected = [sum(observed) * share for share in shares]
        if min(expected) < EXACT_BELOW:
            return _exact_p(observed, shares)
        statistic = sum((count - mean) ** 2 / mean for count, mean in zip(observed, expected, strict=True))
        return float(chdtrc(len(observed) - 1, statistic))

    return _check(counts, weights, p_value)


def sequential_sample_ratio(
    counts: Sequence[int], weights: Sequence[float], *, planned_units: float, alpha: float = SAMPLE_RATIO_ALARM
) -> SampleRatio:
    """The sample-ratio check for counts that are read every day: its false-alarm rate holds over all looks together.

    1/p = mean over κ of B(κs + x) / (B(κs) · Π s_i^x_i),   s: configured shares, x: counts, B: the multivariate beta
    function. Each term is the likelihood of a Dirichlet(κs) mixture against that of the configured shares, a
    martingale under the shares (Lindon and Malek, arXiv 2011.03567), and so is their mean.
    κ = N / (-2 ln α + ln(1 - 2 ln α)) is most sensitive near the N planned units; κ/8, κ/64 and κ/512 find large
    losses early.
    """
    if not planned_units > 0:
        raise ValueError(
            f"planned_units {planned_units} must be positive: the units that all arms are planned to reach"
        )
    latest = planned_units / (-2 * log(alpha) + log(1 - 2 * log(alpha)))
    strengths = np.maximum(1.0, latest / 8.0 ** np.arange(4))[:, None]

    def p_value(observed: Sequence[int], shares: Sequence[float]) -> float:
        x, prior = np.array(observed, dtype=float), strengths * np.array(shares)
        mixtures = (gammaln(prior + x) - gammaln(prior)).sum(1) + (gammaln(strengths) - gammaln(strengths + x.sum()))[
            :, 0
        ]
        evidence = float(logsumexp(mixtures) - log(len(mixtures)) - xlogy(x, shares).sum())
        return exp(min(0.0, -evidence))

    return _check(counts, weights, p_value)


def _check(counts: Sequence[int], weights: Sequence[float], p_value: Any) -> SampleRatio:
    if len(counts) != len(weights):
        raise ValueError(
            f"counts has {len(counts)} arms and weights has {len(weights)}: give one of each per arm, in one order"
        )
    for name, numbers in (("counts", counts), ("weights", weights)):
        if invalid := [number for number in numbers if not 0 <= number < float("inf")]:
            raise ValueError(f"{name} holds {invalid[0]}: each must be finite, 0 or more")
    unexpected = tuple(i for i, (count, weight) in enumerate(zip(counts, weights, strict=True)) if count and not weight)
    note = f"units in {len(unexpected)} arm(s) of weight zero" if unexpected else ""
    live = [(count, weight) for count, weight in zip(counts, weights, strict=True) if weight]
    observed = [count for count, _ in live]
    if len(live) < 2:
        why = f"{len(live)} arm(s) of positive weight: there is no ratio to check"
        return SampleRatio(None, bool(unexpected), unexpected, note or why)
    if not sum(observed):
        return SampleRatio(None, bool(unexpected), unexpected, note or "no units yet")
    total = sum(weight for _, weight in live)
    p = p_value(observed, [weight / total for _, weight in live])
    return SampleRatio(p, p < SAMPLE_RATIO_ALARM or bool(unexpected), unexpected, note)


def _exact_p(observed: Sequence[int], shares: Sequence[float]) -> float:
    """The exact multinomial test: the probability of all outcomes that are at most as probable as the observed one.

    Enumerates the outcomes within eight standard deviations; where those are more than a million, draws 99,999
    outcomes with a fixed seed instead (p then is (1 + hits) / 100,000).
    """
    units, p = sum(observed), np.array(shares)
    limit = float(_log_probability(np.array(observed), units, p)) + _TIE
    remainder = int(np.argmax(p))  # its count follows from the others
    free = [arm for arm in range(len(p)) if arm != remainder]
    ranges = [_plausible(units, float(p[arm])) for arm in free]
    if prod(len(counts) for counts in ranges) > _LARGEST_TABLE:
        draws = np.random.default_rng(0).multinomial(units, p, _DRAWS)
        return float((1 + (_log_probability(draws, units, p) <= limit).sum()) / (1 + _DRAWS))
    outcomes = np.empty((*(len(counts) for counts in ranges), len(p)))
    for arm, column in zip(free, np.meshgrid(*ranges, indexing="ij"), strict=True):
        outcomes[..., arm] = column
    outcomes[..., remainder] = units - outcomes[..., free].sum(-1)
    log_probability = _log_probability(outcomes[outcomes[..., remainder] >= 0], units, p)
    return min(1.0, float(np.exp(log_probability[log_probability <= limit]).sum()))


def _log_probability(outcomes: Any, units: int, shares: Any) -> Any:
    """The log-probability of each outcome [..., arms] of a multinomial."""
    return gammaln(units + 1) + (xlogy(outcomes, shares) - gammaln(outcomes + 1)).sum(-1)


def _plausible(units: int, share: float) -> range:
    """The counts within eight standard deviations, extended by thirty for the long tail of a small expected count."""
    mean, reach = units * share, 8 * (units * share * (1 - share)) ** 0.5 + 30
    return range(max(0, int(mean - reach)), min(units, int(mean + reach)) + 1)
