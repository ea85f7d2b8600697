"""Diversity of a policy's raw samples (RELATE eq. 12), whose scale the paper does not give. Two versions: results name
the second.

Version 2 counts in how many advertisers' texts an n-gram stands, over bootstraps of one size. Counted by brief, an
advertiser's own phrases became frequent as soon as it had three queries, and the value rose with the number of briefs.
These constants are fixed: with other ones it is another measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from adtext.ngrams import FrequentNgrams
from trainer.rewards.base import Sample

FloatArray = npt.NDArray[np.float64]
PROMPTS = 104  # prompts drawn per bootstrap
BOOTSTRAPS = 40
SEED = 0


def diversity_v2(samples: Sequence[Sample]) -> FloatArray:
    """[N] 1 − share of a text's units inside n-grams that are frequent among the samples' advertisers.

    A mean over bootstraps: each draws 104 prompts with replacement, takes all texts of an advertiser's drawn prompts as
    one document, and scores the drawn texts. A text that does not parse has 0; a prompt that no bootstrap drew has NaN.
    """
    groups = _groups(samples)
    chance = np.random.default_rng(SEED)
    counts = np.zeros(len(groups))
    shares = [np.zeros(len(group)) for group in groups]
    for _ in range(BOOTSTRAPS):
        drawn = np.unique(chance.integers(len(groups), size=PROMPTS))
        frequent = _frequent([groups[number] for number in drawn])
        for number in drawn:
            shares[number] += _diverse(frequent, groups[number])
            counts[number] += 1
    return np.concatenate(
        [share / count if count else np.full(len(share), np.nan) for share, count in zip(shares, counts, strict=True)]
    )


def diversity_v1(samples: Sequence[Sample]) -> FloatArray:
    """[N] version 1: document frequency by brief over the whole set, which it depends on. Only to compare with."""
    groups = _groups(samples)
    frequent = FrequentNgrams(window=max(len(groups), 1))
    for group in groups:
        frequent.observe(group[0].prompt.brief, [sample.text for sample in group if sample.text])
    return np.concatenate([_diverse(frequent, group) for group in groups])


def _groups(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples of each prompt, in order."""
    return [list(group) for _, group in groupby(samples, key=lambda sample: sample.prompt)]


def _frequent(groups: Sequence[Sequence[Sample]]) -> FrequentNgrams:
    """The n-grams that are frequent among advertisers."""
    documents: dict[str, list[Sample]] = {}
    for group in groups:
        documents.setdefault(group[0].prompt.brief.ad.id, []).extend(group)
    frequent = FrequentNgrams(window=max(len(documents), 1))
    for document in documents.values():
        frequent.observe(document[0].prompt.brief, [sample.text for sample in document if sample.text])
    return frequent


def _diverse(frequent: FrequentNgrams, group: Sequence[Sample]) -> FloatArray:
    return np.array([1 - frequent.share(sample.text, sample.prompt.brief) if sample.text else 0.0 for sample in group])
