"""Diversity: the phrases that a policy repeats from brief to brief cost the tokens that wrote them (RELATE §3.3.2, eq.
4, 5).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adtext.brief import AdBrief, AdText
from adtext.ngrams import FrequentNgrams, NgramState
from trainer.rewards.base import Charge, FloatArray, Sample, by_field


class Diversity:
    """At sentence level 1 − share of the text's units inside high-frequency n-grams; at token level a charge on each
    such token.

    `observe` the batch first: the set G_high counts the current batch as well, and is the same on all ranks.
    """

    name = "diversity"

    def __init__(self) -> None:
        self._frequent = FrequentNgrams()

    def observe(self, written: Sequence[tuple[AdBrief, Sequence[AdText]]]) -> None:
        """The texts of one step, of every rank, in one order."""
        for brief, texts in written:
            self._frequent.observe(brief, texts)

    def scores(self, samples: Sequence[Sample]) -> FloatArray:
        return np.array(
            [1 - self._frequent.share(sample.text, sample.prompt.brief) if sample.text else 0.0 for sample in samples]
        )

    def charges(self, sample: Sample) -> list[Charge]:
        hits = self._frequent.hits(sample.text, sample.prompt.brief) if sample.text else []
        return [Charge(by_field(hits), share=1.0)] if hits else []

    def state_dict(self) -> NgramState:
        return self._frequent.state_dict()

    def load_state_dict(self, state: NgramState) -> None:
        self._frequent.load_state_dict(state)
