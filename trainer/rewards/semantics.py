"""Relevance: whether the text is about what its brief sells (RELATE §3.3.1; sentence level)?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.special import expit

from adtext.brief import AdBrief, AdText
from trainer.prompts import Prompt
from trainer.reward_model.embed import Encoder
from trainer.reward_model.encoders import make_encoder
from trainer.rewards.base import FloatArray, Given, Sample, Term
from trainer.snapshot import describe_ad, describe_text

_LEAST_SPREAD = 0.02  # least standard deviation of cosines: with few example texts the score would be a step


class Relevance(Term):
    """σ(slope · (cos − middle)): the probability that text and brief belong together rather than to two different
    advertisers, if both were equally likely.

    cos is between the embeddings of text and brief. Matched and mismatched pairs are assumed normal with a common
    variance s²:
    middle = (μ_matched + μ_mismatched)/2, slope = (μ_matched − μ_mismatched)/s²  (linear discriminant).
    """

    def __init__(self, encoder: Encoder, slope: float, middle: float) -> None:
        self._encoder, self.slope, self.middle = encoder, slope, middle

    @classmethod
    def build(cls, given: Given, **settings: Any) -> Self:
        """With the encoder of the config, calibrated on the run's prompts."""

        def facts() -> list[str]:
            return [fact for prompt in given.prompts for fact in prompt.brief.facts()]

        return cls.calibrate(make_encoder(settings["encoder"], facts, given.cache), given.prompts)

    @classmethod
    def calibrate(cls, encoder: Encoder, prompts: Sequence[Prompt]) -> Self:
        """Calibrate on reference texts: each with its own brief, and with the brief of the advertiser that follows in
        the list.

        ValueError when there is one advertiser only, or when the encoder does not tell matched from mismatched pairs.
        """
        first = list({prompt.brief.ad.id: prompt for prompt in prompts if prompt.references}.values())
        if len(first) < 2:
            raise ValueError(
                f"relevance needs reference texts of two advertisers to compare, there are {len(first)}: give more "
                "prompts"
            )
        texts = [prompt.references[0] for prompt in first]
        others = [*first[1:], first[0]]
        matched = _cosines(encoder, [prompt.brief for prompt in first], texts)
        mismatched = _cosines(encoder, [prompt.brief for prompt in others], texts)
        gap = float(matched.mean() - mismatched.mean())
        if gap <= 0:
            raise ValueError(
                f"encoder {encoder.name}: texts are no closer to their own briefs ({gap:+.3f}): use one for this "
                "language"
            )
        spread = max(float(np.sqrt((matched.var() + mismatched.var()) / 2)), _LEAST_SPREAD)
        return cls(encoder, gap / spread**2, float(matched.mean() + mismatched.mean()) / 2)

    def of(self, briefs: Sequence[AdBrief], texts: Sequence[AdText]) -> FloatArray:
        """[N] in (0, 1), one per pair."""
        return np.asarray(expit(self.slope * (_cosines(self._encoder, briefs, texts) - self.middle)), dtype=np.float64)

    def score(self, samples: Sequence[Sample]) -> FloatArray:
        scores = np.zeros(len(samples))
        if written := [(at, sample.prompt.brief, sample.text) for at, sample in enumerate(samples) if sample.text]:
            places, briefs, texts = zip(*written, strict=True)
            scores[list(places)] = self.of(briefs, texts)
        return scores


def _cosines(encoder: Encoder, briefs: Sequence[AdBrief], texts: Sequence[AdText]) -> FloatArray:
    strings = [f"{brief.query}. {describe_ad(brief.ad)}" for brief in briefs] + [describe_text(text) for text in texts]
    distinct = list(dict.fromkeys(strings))
    vectors = dict(zip(distinct, encoder.encode(distinct).astype(np.float64), strict=True))
    rows = np.stack([vectors[string] for string in strings])
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    of_briefs, of_texts = rows[: len(briefs)], rows[len(briefs) :]
    return np.asarray((of_briefs * of_texts).sum(axis=1), dtype=np.float64)
