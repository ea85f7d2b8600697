"""Terms → one sentence reward and the charges of each text, every term counted once (RELATE eq. 2; table 2's
granularities).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adtext.fold import Span
from trainer.rewards.base import FloatArray, Reward, Sample, TokenReward

Priced = tuple[Mapping[str, Sequence[Span]], float]  # spans by field, and what each token under them pays


class RewardError(ValueError):
    """A reward that raised, or gave something that is no score: names the term, the text and the step's way out."""


@dataclass(frozen=True)
class Scored:
    """The rewards of N texts."""

    sentence: FloatArray  # [N] r = Σ w·s / Σ w over the terms active at sentence level, in [0, 1]
    charges: tuple[tuple[Priced, ...], ...]  # [N]; penalties ≥ 0
    terms: dict[str, FloatArray]  # every term's score [N], also of those that act on tokens: Figure 3's curves


class Rewards:
    """The reward of one run: which terms act, where, and how much.

    sentence: term → weight w. tokens: term → penalty λ (eq. 5). Terms that are only watched have neither.
    """

    def __init__(self, terms: Sequence[Reward], sentence: Mapping[str, float], tokens: Mapping[str, float]) -> None:
        self.terms = {term.name: term for term in terms}
        self.sentence, self.tokens = dict(sentence), dict(tokens)
        if missing := sorted((sentence.keys() | tokens.keys()) - self.terms.keys()):
            raise RewardError(
                f"{', '.join(missing)}: weighted in the config, but nothing computes it here; ctcvr needs "
                "--reward-model"
            )

    def score(self, samples: Sequence[Sample], multipliers: Mapping[str, float] | None = None) -> Scored:
        """Score a batch. multipliers: of the penalties, by term (constraints: dual)."""
        terms = {name: _scores(term, samples) for name, term in self.terms.items()}
        total = sum(self.sentence.values())
        sentence = sum(
            (weight / total * terms[name] for name, weight in self.sentence.items()), start=np.zeros(len(samples))
        )
        penalties = {name: penalty * (multipliers or {}).get(name, 1.0) for name, penalty in self.tokens.items()}
        return Scored(sentence, tuple(self._charges(sample, penalties) for sample in samples), terms)

    def _charges(self, sample: Sample, penalties: Mapping[str, float]) -> tuple[Priced, ...]:
        priced: list[Priced] = []
        for name, penalty in penalties.items():
            term: TokenReward = self.terms[name]  # type: ignore[assignment]  # the config lets only such terms act on tokens
            priced += [(charge.spans, penalty * charge.share) for charge in term.charges(sample)]
        return tuple(priced)

    def spread_within(self, scored: Scored, group_size: int) -> dict[str, float]:
        """Mean standard deviation inside a group of each weighted term, w·s / Σ w: the largest one steers."""
        total = sum(self.sentence.values())
        return {
            name: float((weight / total * scored.terms[name]).reshape(-1, group_size).std(axis=1, ddof=1).mean())
            for name, weight in self.sentence.items()
        }


def _scores(term: Reward, samples: Sequence[Sample]) -> FloatArray:
    try:
        scores = term.scores(samples)
    except Exception as error:
        raise RewardError(f"reward {term.name} failed on {len(samples)} texts ({type(error).__name__}: {error}); "
                          "mend it and start again: the run goes on from its last checkpoint") from error  # fmt: skip
    bad = ~np.isfinite(scores) | (scores < 0) | (scores > 1)
    if bad.any():
        at = int(bad.argmax())
        raise RewardError(f"reward {term.name} gave {scores[at]} to {samples[at].completion!r}: scores lie in [0, 1]; "
                          "mend it and start again: the run goes on from its last checkpoint")  # fmt: skip
    return scores
