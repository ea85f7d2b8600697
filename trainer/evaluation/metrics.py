"""The measures of a policy's raw samples, before any filter (RELATE §4.1.2, table 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from adtext.brief import AdBrief, AdText
from adtext.checks import is_clean, is_compliant
from adtext.ngrams import copy_rate, distinct, units
from trainer.evaluation.diversity import diversity_v2
from trainer.reward_model.score import RewardModel, Triple
from trainer.rewards.base import TERM_OF, Sample
from trainer.rewards.judge_scores import JudgeScores
from trainer.rewards.judged import Fluency, Truth
from trainer.rewards.risk import Correctness, Risk
from trainer.rewards.semantics import Relevance
from trainer.rewards.structure import Format, Length

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Scorer = Callable[[Sequence[AdBrief], Sequence[AdText]], FloatArray]


@dataclass(frozen=True, slots=True)
class Measure:
    """One column of the comparison."""

    label: str
    better: Literal["more", "less", "as is"]  # as is: a change in either direction is a warning
    unit: Literal["share", "rate", "count"] = "share"


MEASURES: Mapping[str, Measure] = {
    "compliance": Measure("Compliance Rate (eq. 11)", "more"),
    "but_length": Measure("Compliance Rate but for length", "more"),
    "clean": Measure("clean rate: nothing to block or review", "more"),
    "truth": Measure("truth (judge)", "more"),
    "fluency": Measure("fluency (judge)", "more"),
    "second_truth": Measure("truth (second judge)", "more"),
    "second_fluency": Measure("fluency (second judge)", "more"),
    "diversity": Measure("Diversity (eq. 12), version 2: by advertiser", "more"),
    "ctcvr": Measure("predicted CTCVR, training model", "more", "rate"),
    "held_out_reward_model": Measure("predicted CTCVR, held-out reward model", "more", "rate"),
    "true_ctcvr": Measure("true CTCVR, simulated users", "more", "rate"),
    "relevance": Measure("relevance", "more"),
    "format": Measure("format", "more"),
    "structure": Measure("structural quality (table 3)", "more"),
    "semantics": Measure("semantic quality (table 3)", "more"),
    "distinct": Measure("distinct texts per brief", "more", "count"),
    "copy": Measure("copy rate", "less"),
    "words": Measure("words per field", "as is", "count"),
    "points": Measure("selling points mentioned", "as is"),
}


@dataclass(frozen=True)
class Measured:
    """The samples of one policy with their measures."""

    name: str  # the policy's
    samples: Sequence[Sample]
    values: Mapping[str, FloatArray]  # [N] by measure; NaN where the measure is of a text and none parses

    @property
    def advertisers(self) -> list[str]:
        """[N] the advertiser each sample is for."""
        return [sample.prompt.brief.ad.id for sample in self.samples]


def measure(
    policy: str,
    samples: Sequence[Sample],
    relevance: Relevance,
    models: Mapping[str, RewardModel],
    judges: Mapping[str, JudgeScores] = MappingProxyType({}),
) -> Measured:
    """Every measure of every sample. models: the reward model as `ctcvr` and the held-out one as
    `held_out_reward_model`, where they are given. judges: the judge under "" and the second one under "second_", the
    prefixes of their columns, where they judge this language.

    A text that does not parse is neither compliant nor diverse, and scores 0 as in the rewards; predicted rates and
    habits of writing are of texts that parse. Structural quality is the mean of length and format; semantic quality of
    relevance, correctness and risk.
    """
    length, form = Length().score(samples), Format().score(samples)
    close, right, safe = relevance.score(samples), Correctness().score(samples), Risk().score(samples)
    values = {
        "compliance": np.array(
            [float(sample.text is not None and is_compliant(sample.findings)) for sample in samples]
        ),
        "but_length": np.array([_complies_but_for_length(sample) for sample in samples]),
        "clean": np.array([float(sample.text is not None and is_clean(sample.findings)) for sample in samples]),
        "diversity": diversity_v2(samples),
        "relevance": close,
        "format": form,
        "structure": (length + form) / 2,
        "semantics": (close + right + safe) / 3,
        "distinct": _distinct(samples),
        "copy": _of_texts(
            samples, lambda briefs, texts: np.array([copy_rate(*pair) for pair in zip(texts, briefs, strict=True)])
        ),
        "words": _of_texts(samples, lambda briefs, texts: np.array([_words_per_field(text) for text in texts])),
        "points": _of_texts(
            samples, lambda briefs, texts: np.array([mentioned(*pair) for pair in zip(texts, briefs, strict=True)])
        ),
    }
    for name, model in models.items():
        values[name] = _of_texts(samples, _predicted(model))
    for prefix, scores in judges.items():
        values[f"{prefix}truth"] = Truth(scores).score(samples)
        values[f"{prefix}fluency"] = Fluency(scores).score(samples)
    return Measured(policy, samples, values)


def with_truth(measured: Measured, true_ctcvr: Scorer) -> Measured:
    """The same with the true CTCVR added: it is known where users are simulated."""
    return Measured(
        measured.name, measured.samples, {**measured.values, "true_ctcvr": _of_texts(measured.samples, true_ctcvr)}
    )


def mentioned(text: AdText, brief: AdBrief) -> float:
    """Share of the brief's selling points that the text mentions; NaN where it has none.

    A point is mentioned when at least half of its telling units stand in the text: numbers, and words of four letters
    or more; in Chinese and Japanese every character.
    """
    written = {unit for _, value in text.fields() for unit in units(value)}
    points = [
        {unit for unit in units(point) if len(unit) > 3 or not unit.isascii() or unit[0].isdigit()}
        for point in brief.ad.selling_points
    ]
    told = [len(point & written) / len(point) >= 0.5 for point in points if point]
    return float(np.mean(told)) if told else float("nan")


def _complies_but_for_length(sample: Sample) -> float:
    """1 where the text parses and nothing but its length blocks it."""
    others = [finding for finding in sample.findings if TERM_OF[finding.rule] != "length"]
    return float(sample.text is not None and is_compliant(others))


def _words_per_field(text: AdText) -> float:
    return float(np.mean([len(units(value)) for _, value in text.fields()]))


def _predicted(model: RewardModel) -> Scorer:
    return lambda briefs, texts: (
        model.score([Triple.of(brief, text) for brief, text in zip(briefs, texts, strict=True)]).ctcvr
    )


def _of_texts(samples: Sequence[Sample], score: Scorer) -> FloatArray:
    values = np.full(len(samples), np.nan)
    parsed = [(at, sample.prompt.brief, sample.text) for at, sample in enumerate(samples) if sample.text]
    if parsed:
        places, briefs, texts = zip(*parsed, strict=True)
        values[list(places)] = score(briefs, texts)
    return values


def _distinct(samples: Sequence[Sample]) -> FloatArray:
    """[N] distinct texts of the sample's prompt: each prompt's samples share one value."""
    values: list[float] = []
    for _, group in groupby(samples, key=lambda sample: sample.prompt):
        of_prompt = list(group)
        values += [float(distinct([sample.text for sample in of_prompt if sample.text]))] * len(of_prompt)
    return np.array(values)
