"""Pairwise human evaluation: Good/Same/Bad counts (RELATE §4.3), the sign test, and how far annotators agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from scipy.special import bdtr, betaincinv


@dataclass(frozen=True, slots=True)
class Preference:
    """How often one policy's text was better. `value` is GSB, and low and high bound it; None without a pair."""

    good: int
    same: int
    bad: int
    value: float | None  # (G - B) / (G + S + B), in [-1, 1]
    low: float | None
    high: float | None
    p_value: float  # exact, two-sided: good and bad are equally likely


def preference(good: int, same: int, bad: int, *, confidence: float = 0.95) -> Preference:
    """GSB with the exact sign test: given n = G + B decided pairs, G ~ Binomial(n, 1/2) where neither is better.

    p = min(1, 2 · P(X <= min(G, B)));  interval: Clopper-Pearson's for π = G / n, as GSB = (2π - 1) · n / N with
    N = G + S + B. It takes the share of undecided pairs as given. Without a decided pair it is (-1, 1).
    """
    if min(good, same, bad) < 0:
        raise ValueError(f"counts {good}, {same}, {bad} must not be negative")
    total, decided = good + same + bad, good + bad
    if not total:
        return Preference(good, same, bad, None, None, None, 1.0)
    if not decided:
        return Preference(good, same, bad, 0.0, -1.0, 1.0, 1.0)
    tail = (1 - confidence) / 2
    low = float(betaincinv(good, bad + 1, tail)) if good else 0.0
    high = float(betaincinv(good + 1, bad, 1 - tail)) if bad else 1.0
    share = decided / total
    p_value = min(1.0, 2 * float(bdtr(min(good, bad), decided, 0.5)))
    return Preference(good, same, bad, (good - bad) / total, (2 * low - 1) * share, (2 * high - 1) * share, p_value)


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Agreement of two annotators about the same items, beyond chance: κ = (p_o - p_e) / (1 - p_e).

    None without an item, and where both gave one and the same answer to all: chance alone explains that.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} answers: both must answer the same items")
    if not first:
        return None
    total, ours, theirs = len(first), Counter(first), Counter(second)
    observed = sum(one == other for one, other in zip(first, second, strict=True)) / total
    chance = sum(ours[answer] * theirs[answer] for answer in ours) / total**2
    return (observed - chance) / (1 - chance) if chance < 1 else None


def fleiss_kappa(items: Sequence[Sequence[Hashable]]) -> float | None:
    """Agreement of a fixed number of annotators, beyond chance: one row of answers per item. Psychol. Bull. 1971.

    P_i = (Σ_j n_ij² - n) / (n (n - 1));  P_e = Σ_j p_j²;  κ = (mean P_i - P_e) / (1 - P_e). None as in `cohen_kappa`.
    """
    if not items:
        return None
    raters = len(items[0])
    if raters < 2 or any(len(row) != raters for row in items):
        raise ValueError("each item needs the same number of answers, two or more")
    counts = [Counter(row) for row in items]
    observed = sum((sum(n * n for n in count.values()) - raters) / (raters * (raters - 1)) for count in counts) / len(
        items
    )
    totals = sum(counts, Counter[Hashable]())
    chance = sum((n / (raters * len(items))) ** 2 for n in totals.values())
    return (observed - chance) / (1 - chance) if chance < 1 else None
