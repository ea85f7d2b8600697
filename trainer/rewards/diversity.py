"""Diversity: a phrase that the policy repeats from brief to brief is charged to the tokens that wrote it (RELATE
§3.3.2, eq. 4, 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from adtext.ngrams import FrequentNgrams
from trainer.rewards.base import Charge, FloatArray, Sample, Term, by_field


class Diversity(Term):
    """At sentence level 1 − share of the text's units inside high-frequency n-grams; at token level a charge on each
    such token.

    The set G_high counts the current batch as well, and is the same on all ranks.
    """

    def __init__(self) -> None:
        self._frequent = FrequentNgrams()

    def observe(self, samples: Sequence[Sample]) -> None:
        for prompt, group in groupby(samples, key=lambda sample: sample.prompt):
            self._frequent.observe(prompt.brief, [sample.text for sample in group if sample.text])

    def score(self, samples: Sequence[Sample]) -> FloatArray:
        return np.array(
            [1 - self._frequent.share(sample.text, sample.prompt.brief) if sample.text else 0.0 for sample in samples]
        )

    def charges(self, sample: Sample) -> list[Charge]:
        hits = self._frequent.hits(sample.text, sample.prompt.brief) if sample.text else []
        return [Charge(by_field(hits), share=1.0)] if hits else []

    def state_dict(self) -> dict[str, Any]:
        return dict(self._frequent.state_dict())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._frequent.load_state_dict({"window": state["window"], "frequent": state["frequent"]})
