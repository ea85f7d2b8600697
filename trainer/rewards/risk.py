"""Terms that depend on the findings of the checks: risk and correctness (RELATE §3.3.1; §3.4.1, eq. 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from adtext.checks import is_compliant
from trainer.rewards.base import Charge, FloatArray, Sample, Term, by_field


class _Checked(Term):
    """A term of findings with spans.

    At sentence level 1[no finding blocks]. At token level each token under a finding is charged: λ where it blocks, λ/2
    where a person must review it, nothing for a warning; a token under several findings of the term is charged
    once, for the most severe.
    """

    finds: ClassVar[str]  # the term that its findings belong to

    def score(self, samples: Sequence[Sample]) -> FloatArray:
        return np.array([float(sample.text is not None and is_compliant(sample.of(self.finds))) for sample in samples])

    def charges(self, sample: Sample) -> list[Charge]:
        found = [finding for finding in sample.of(self.finds) if finding.severity != "warn"]
        blocking = [finding for finding in found if finding.severity == "block"]
        return [
            Charge(by_field((finding.field, finding.span) for finding in some), share=0.5)
            for some in (found, blocking)
            if some
        ]


class Risk(_Checked):
    """Exaggerated, misleading or forbidden claims."""

    finds = "risk"


class Correctness(_Checked):
    """Numbers, prices, brands and offers that are not in the brief: the findings of grounding."""

    finds = "correctness"
