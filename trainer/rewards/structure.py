"""Structural quality: whether the text fits its platform's lengths and form (RELATE §3.3.1, Length and Format; sentence
level)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from adtext.brief import AdText
from adtext.spec import FieldSpec, measure
from trainer.rewards.base import FloatArray, Sample, Term

_WEIGHT = {"block": 1.0, "review": 0.5, "warn": 0.0}


class Length(Term):
    """The mean over the platform's required fields and the fields of the text of: 1 inside [least, max], least =
    max(min, fill · max); outside, at most ½ and falling to 0 with the distance, `½ · length/least` below and `½ ·
    max(0, 2 − length/max)` above. A missing field, and one the platform does not have, count 0.

    The step at the border gives a text that is one character too long less than one that can be shown.
    fill in [0, 1] is the lower end of the paper's target interval, as a share of the field's maximum. Without it,
    shorter texts would always fit.
    """

    def __init__(self, fill: float = 0.0) -> None:
        self._fill = fill

    def score(self, samples: Sequence[Sample]) -> FloatArray:
        return np.array(
            [self._fit(sample.text, sample.prompt.spec.fields) if sample.text else 0.0 for sample in samples]
        )

    def _fit(self, text: AdText, limits: Mapping[str, FieldSpec]) -> float:
        values = dict(text.fields())
        names = {name for name, limit in limits.items() if limit.required} | values.keys()
        return float(np.mean([_field(values.get(name), limits.get(name), self._fill) for name in sorted(names)]))


def _field(value: str | None, limit: FieldSpec | None, fill: float) -> float:
    if value is None or limit is None or not value.strip():
        return 0.0
    length, least = measure(value, limit.mode), max(limit.min, fill * limit.max)
    if length < least:
        return 0.5 * length / least
    if length > limit.max:
        return 0.5 * max(0.0, 2 - length / limit.max)
    return 1.0


class Format(Term):
    """2^(−Σ w) over the findings of form: w = 1 where one blocks, ½ where a person must review it, 0 for a warning."""

    def score(self, samples: Sequence[Sample]) -> FloatArray:
        return np.array(
            [
                0.5 ** sum(_WEIGHT[finding.severity] for finding in sample.of("format")) if sample.text else 0.0
                for sample in samples
            ]
        )
