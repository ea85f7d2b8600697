"""Terms that the checks decide, finding by finding: risk and correctness (RELATE §3.3.1; §3.4.1, eq. 5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adtext.checks import is_compliant
from trainer.rewards.base import Charge, FloatArray, Sample, by_field


class Checked:
    """A term of findings with spans.

    At sentence level 1[no finding blocks]. At token level each token under a finding is charged: λ where it blocks, λ/2
    where a person must see it, nothing for a note; a token under several findings of the term pays once, the dearest.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def scores(self, samples: Sequence[Sample]) -> FloatArray:
        return np.array([float(sample.text is not None and is_compliant(sample.of(self.name))) for sample in samples])

    def charges(self, sample: Sample) -> list[Charge]:
        found = [finding for finding in sample.of(self.name) if finding.severity != "warn"]
        blocking = [finding for finding in found if finding.severity == "block"]
        return [
            Charge(by_field((one.field, one.span) for one in some), share=0.5) for some in (found, blocking) if some
        ]


def risk() -> Checked:
    """Exaggerated, misleading or forbidden claims."""
    return Checked("risk")


def correctness() -> Checked:
    """Numbers, prices, brands and offers that the brief does not hold: what grounding finds."""
    return Checked("correctness")
