"""Truth and fluency: the judge's two probabilities for a text and its brief (sentence level). Rules decide neither."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from adtext.judge import Judgement
from trainer.config import ConfigError
from trainer.rewards.base import FloatArray, Given, MissingInput, Sample, Term
from trainer.rewards.judge_scores import JudgeScores


class _Judged(Term):
    """One of the judge's two probabilities; 0 where a text does not parse."""

    def __init__(self, scores: JudgeScores) -> None:
        self._scores = scores

    @classmethod
    def build(cls, given: Given, **settings: Any) -> Self:
        """The term with the run's judge."""
        if given.judge is None:
            raise MissingInput(
                f"terms.{cls.__name__.lower()} needs a judge of this language, and there is none: set its weight to 0"
            )
        return cls(given.judge, **settings)

    @staticmethod
    @abstractmethod
    def read(judgement: Judgement) -> float:
        """The probability that is the score."""
        ...

    def score(self, samples: Sequence[Sample]) -> FloatArray:
        scores = np.zeros(len(samples))
        if written := [(at, sample.prompt.brief, sample.text) for at, sample in enumerate(samples) if sample.text]:
            places, briefs, texts = zip(*written, strict=True)
            scores[list(places)] = [self.read(judgement) for judgement in self._scores.of(briefs, texts)]
        return scores

    def state_dict(self) -> dict[str, Any]:
        return {"judge": self._scores.version}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state["judge"] != self._scores.version:
            raise ConfigError(
                f"the checkpoint was trained with judge {state['judge']}, given is {self._scores.version}: give the "
                "same one"
            )


class Truth(_Judged):
    """P(everything the text says is supported by the brief)."""

    @staticmethod
    def read(judgement: Judgement) -> float:
        return judgement.true


class Fluency(_Judged):
    """P(grammatical, clear, complete, spelt right), given that the text is true."""

    @staticmethod
    def read(judgement: Judgement) -> float:
        return judgement.well_written
