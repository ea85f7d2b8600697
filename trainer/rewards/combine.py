"""Terms → one sentence reward and the charges of each text, every term counted once (RELATE eq. 2; table 2's
granularities).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adtext.fold import Span
from trainer.config import ConfigError
from trainer.rewards.base import FloatArray, Sample, Term, TokenTerm

Priced = tuple[Mapping[str, Sequence[Span]], float]  # spans by field, and what each token under them pays
HELD_OUT = "held_out_reward_model"
SECOND = "second_judge"


class RewardError(ValueError):
    """A reward that raised an error, or returned a value outside [0, 1]. The message names the term, the text and the
    fix.
    """


@dataclass(frozen=True)
class Scored:
    """The rewards of N texts."""

    sentence: FloatArray  # [N] r = Σ w·s / Σ w over the terms active at sentence level, in [0, 1]
    charges: tuple[tuple[Priced, ...], ...]  # [N]; penalties ≥ 0
    terms: dict[str, FloatArray]  # every term's score [N], those of token terms included: Figure 3's curves
    held_out: FloatArray | None = None  # [N] score by the held-out reward model: only watched
    second_judge: Mapping[str, FloatArray] = field(default_factory=dict)  # truth and fluency [N]: only watched


class Rewards:
    """The reward of one run: its terms, their levels and their weights.

    sentence: term → weight w. tokens: term → λ (eq. 5). A term with neither is only logged, as are held_out, the score
    by the held-out reward model, and second_judge, truth and fluency by the second judge.
    """

    def __init__(
        self,
        terms: Mapping[str, Term],
        sentence: Mapping[str, float],
        tokens: Mapping[str, float],
        held_out: Term | None = None,
        second_judge: Mapping[str, Term] | None = None,
    ) -> None:
        self.terms, self.held_out, self.second_judge = dict(terms), held_out, dict(second_judge or {})
        self.sentence, self.tokens = dict(sentence), dict(tokens)

    # ---- fit, observe, state

    def fit(self, samples: Sequence[Sample]) -> None:
        """See `Term.fit`."""
        for term in self._all().values():
            term.fit(samples)

    def observe(self, samples: Sequence[Sample]) -> None:
        """See `Term.observe`."""
        for term in self._all().values():
            term.observe(samples)

    def state_dict(self) -> dict[str, Any]:
        """Every term's state, by name."""
        return {name: term.state_dict() for name, term in self._all().items()}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Restore every term's state. ConfigError where the state belongs to other terms."""
        terms = self._all()
        if terms.keys() != state.keys():
            raise ConfigError(
                f"the checkpoint was trained with {', '.join(sorted(state))}, this run has {', '.join(sorted(terms))}: "
                "give the same terms and reward models"
            )
        for name, term in terms.items():
            term.load_state_dict(state[name])

    def _all(self) -> dict[str, Term]:
        watched = {f"{SECOND}.{name}": term for name, term in self.second_judge.items()}
        return self.terms | watched | ({HELD_OUT: self.held_out} if self.held_out else {})

    # ---- scores

    def score(self, samples: Sequence[Sample], multipliers: Mapping[str, float] | None = None) -> Scored:
        """Score a batch. multipliers: factors of the penalties, by term (constraints: dual)."""
        terms = {name: _scores(name, term, samples) for name, term in self.terms.items()}
        total = sum(self.sentence.values())
        sentence = sum(
            (weight / total * terms[name] for name, weight in self.sentence.items()), start=np.zeros(len(samples))
        )
        penalties = {name: penalty * (multipliers or {}).get(name, 1.0) for name, penalty in self.tokens.items()}
        charges = tuple(self._charges(sample, penalties) for sample in samples)
        held_out = _scores(HELD_OUT, self.held_out, samples) if self.held_out else None
        second = {name: _scores(f"{SECOND}.{name}", term, samples) for name, term in self.second_judge.items()}
        return Scored(sentence, charges, terms, held_out, second)

    def _charges(self, sample: Sample, penalties: Mapping[str, float]) -> tuple[Priced, ...]:
        priced: list[Priced] = []
        for name, penalty in penalties.items():
            term = self.terms[name]
            assert isinstance(term, TokenTerm)  # the registry lets only such terms act on tokens
            priced += [(charge.spans, penalty * charge.share) for charge in term.charges(sample)]
        return tuple(priced)

    def spread_within(self, scored: Scored, group_size: int) -> dict[str, float]:
        """Mean standard deviation inside a group of each weighted term, w·s / Σ w: the largest one steers."""
        total = sum(self.sentence.values())
        return {
            name: float((weight / total * scored.terms[name]).reshape(-1, group_size).std(axis=1, ddof=1).mean())
            for name, weight in self.sentence.items()
        }


def _scores(name: str, term: Term, samples: Sequence[Sample]) -> FloatArray:
    try:
        scores = term.score(samples)
    except Exception as error:
        raise RewardError(
            f"reward {name} failed on {len(samples)} texts ({type(error).__name__}: {error}); fix it and start again: "
            "the run resumes from its last checkpoint"
        ) from error
    bad = ~np.isfinite(scores) | (scores < 0) | (scores > 1)
    if bad.any():
        at = int(bad.argmax())
        raise RewardError(
            f"reward {name} gave {scores[at]} to {samples[at].completion!r}: scores lie in [0, 1]; fix it and start "
            "again: the run resumes from its last checkpoint"
        )
    return scores
