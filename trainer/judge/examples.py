"""What a judge learns from: labels, references, composed texts, and corruptions of both, as rows of features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from adtext.brief import AdBrief, AdText
from adtext.rules import load_rules
from trainer.bootstrap import FloatArray
from trainer.config import JudgeConfig
from trainer.judge.corruptions import UNREADABLE, UNTRUE, corrupt
from trainer.judge.labels import VERDICTS, Label, load_labels, prompts_of
from trainer.judge.source import Source
from trainer.plain_references import plain_references
from trainer.prompts import Prompt, evenly
from trainer.scoring.facts import brief_facts, described, sentence
from trainer.scoring.features import features, spelled
from trainer.scoring.fluency import Grams, count

Watch = Callable[[str, int, int], None]  # what is being done, done, of how many
_COMPOSED = 3  # composed texts of one query
_LENDERS = 6  # advertisers that a corruption may borrow from


@dataclass(frozen=True, slots=True)
class Example:
    """One text with what is known of it."""

    brief: AdBrief
    text: AdText
    kind: str  # a verdict, reference, composed, or a kind of corruption
    true: bool
    well_written: bool | None  # None where nobody looked: a false text
    weight: float
    drawn: bool = True  # False: put together from two texts of a policy

    @property
    def labelled(self) -> bool:
        """Whether limits and calibration look at it: read, and written by a policy as it is."""
        return self.drawn and self.kind in VERDICTS


@dataclass(frozen=True)
class Examples:
    """Examples beside their features [N, names]."""

    items: Sequence[Example]
    rows: FloatArray
    names: tuple[str, ...]

    def column(self, what: str) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
        return np.array([getattr(item, what) for item in self.items], dtype=object)

    @property
    def advertisers(self) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
        return np.array([item.brief.ad.id for item in self.items])


def of_label(label: Label) -> Example:
    good = label.verdict == "good"
    return Example(
        label.brief,
        label.text,
        label.verdict,
        true=label.verdict != "false",
        well_written=None if label.verdict == "false" else good,
        weight=1.0,
        drawn=label.drawn,
    )


def made(prompts: Sequence[Prompt], config: JudgeConfig, watch: Watch) -> list[Example]:
    """Good texts of these prompts and corruptions of them; the same seed makes the same ones."""
    random, rules = Random(config.seed), load_rules()
    briefs = [prompt.brief for prompt in prompts]
    prompts = evenly(prompts, config.queries)
    kinds = sorted({**UNTRUE, **UNREADABLE})
    found: list[Example] = []
    for number, prompt in enumerate(prompts):
        watch("composing and corrupting texts", number, len(prompts))
        composed = plain_references(prompt, rules, _COMPOSED, seed=config.seed)
        for kind, weight, texts in (
            ("reference", config.reference_weight, prompt.references),
            ("composed", config.corruption_weight, composed),
        ):
            for text in texts:
                found.append(Example(prompt.brief, text, kind, True, True, weight))
                source = Source(prompt.brief, text, random.sample(briefs, min(_LENDERS, len(briefs))))
                for fault in random.sample(kinds, config.corruptions):
                    if (changed := corrupt(fault, source, random)) is not None:
                        true = fault not in UNTRUE
                        readable = (fault not in UNREADABLE) if true else None
                        found.append(Example(prompt.brief, changed, fault, true, readable, config.corruption_weight))
    return found


def learned_grams(prompts: Sequence[Prompt], kind: str) -> Grams:
    """The n-gram model of the prompts' references and facts."""
    sentences = [
        part for prompt in prompts for text in prompt.references for part in (sentence(text.title), *described(text))
    ]
    advertisers = {prompt.brief.ad.id: prompt.brief for prompt in prompts}
    sentences += [fact for brief in advertisers.values() for fact in brief_facts(brief).own]
    return count(spelled(kind, sentence) for sentence in sentences)


def measured(items: Sequence[Example], kind: str, grams: Grams, watch: Watch) -> Examples:
    """The examples with their features."""
    values = []
    for number, item in enumerate(items):
        if number % 50 == 0:
            watch("computing features", number, len(items))
        values.append(features(kind, item.brief, item.text, grams))
    names = tuple(values[0])
    return Examples(items, np.array([[value[name] for name in names] for value in values]), names)


def labels_of(part: str) -> list[Label]:
    return [label for label in load_labels() if label.part == part]


def training_examples(config: JudgeConfig, watch: Watch) -> tuple[Examples, Grams]:
    """Everything that this judge learns from, and the n-gram model of all its advertisers.

    A text's own features are counted without the n-grams of its advertiser: a copied fact must be as surprising here
    as that of an advertiser who comes later.
    """
    prompts = prompts_of(config.half)
    items = [*map(of_label, labels_of(config.half)), *made(prompts, config, watch)]
    names = sorted({prompt.brief.ad.id for prompt in prompts})
    parts = []
    for fold in range(config.folds):
        outside = set(names[fold :: config.folds])
        grams = learned_grams([prompt for prompt in prompts if prompt.brief.ad.id not in outside], config.features)
        inside = [item for item in items if item.brief.ad.id in outside]
        parts.append(measured(inside, config.features, grams, watch))
    joined = Examples(
        [item for part in parts for item in part.items], np.concatenate([part.rows for part in parts]), parts[0].names
    )
    return joined, learned_grams(prompts, config.features)


def test_examples(config: JudgeConfig, kind: str, grams: Grams, watch: Watch) -> Examples:
    """Labelled texts, references and corruptions of advertisers that no judge learned from."""
    items = [*map(of_label, labels_of("test")), *made(prompts_of("test"), config, watch)]
    return measured(items, kind, grams, watch)
