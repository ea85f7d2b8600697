"""Fit the simulated users' word model and comprehension on the users' half: write words.txt.gz and comprehension.json.

    python -m benchmarks.market.fit_comprehension --data DIR [--served SAMPLES]     # DIR holds packages.csv.gz

Words: headlines, and what the users' half of the training advertisers say. Weights: references of a part of that half
whose references the words do not hold, the same with their words shuffled, random words of their briefs, and labelled
texts (trainer/data/judge/labels.jsonl) of the users' half. Prints the AUC on the other half's labels, and on those of
SAMPLES (samples.jsonl: texts of examples/briefs.jsonl with verdicts).
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from adtext.brief import AdBrief, AdText
from adtext.examples import load_examples
from benchmarks.market import in_taste_half, in_users_half
from benchmarks.market.comprehension import Comprehension, Floats, quadratic, reading
from benchmarks.market.facts import Offer
from benchmarks.market.words import SENTENCES, WordModel, sentences
from trainer.bootstrap import bootstrap
from trainer.prompts import Prompt, load_prompts
from trainer.reward_model.dataset import share_of
from trainer.reward_model.metrics import auc
from trainer.snapshot import describe_text

ROOT = Path(__file__).parents[2]
LABELS = ROOT / "trainer" / "data" / "judge" / "labels.jsonl"
WEIGHT = {"good": 1.0, "reference": 1.0, "clumsy": 2.0, "mangled": 2.0, "shuffled": 0.6, "random": 0.6}
READS_WELL = ("good", "reference")
RIDGE = 400.0  # 1 / C of the logistic regression


@dataclass(frozen=True)
class Labelled:
    """A text with what is known of it: a verdict, or how it was made."""

    brief: AdBrief
    text: AdText
    kind: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--served", type=Path)
    chosen = parser.parse_args()
    prompts = load_prompts()
    mine = [prompt for prompt in prompts if prompt.split == "train" and in_users_half(prompt.brief.ad.id)]
    write_sentences(chosen.data, mine)
    labels = read_labels(prompts)
    taught = [label for label in labels if label.brief.ad.id in {prompt.brief.ad.id for prompt in mine}]
    fitted = fit(WordModel.load(), [*taught, *made_from(mine)])
    fitted.save()
    report("labels of the other half", fitted, [label for label in labels if not in_users_half(label.brief.ad.id)])
    if chosen.served:
        report("served samples", fitted, read_served(chosen.served))


def write_sentences(data: Path, mine: Sequence[Prompt]) -> None:
    rows = pd.read_csv(data / "packages.csv.gz").fillna("")
    rows = rows[[in_taste_half(group) for group in rows["story_group"]]]
    lines = [*sorted({*rows["headline"].str.strip()}), *sorted({*rows["lede"]})]
    lines += dict.fromkeys(line for prompt in mine for line in Offer.of(prompt.brief).lines)
    lines += [describe_text(text) for prompt in mine if not for_weights(prompt) for text in prompt.references]
    found = [" ".join(sentence) for line in lines for sentence in sentences(line)]
    with SENTENCES.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(("\n".join(found) + "\n").encode())
    print(f"{len(found):,} sentences")


def for_weights(prompt: Prompt) -> bool:
    """True for the advertisers whose references teach the weights, and not the words."""
    return share_of(prompt.brief.ad.id, "fold") >= 0.7


def made_from(mine: Sequence[Prompt]) -> Iterator[Labelled]:
    """References, the same shuffled field by field, and random words of their briefs."""
    rng = np.random.default_rng(0)
    for prompt in filter(for_weights, mine):
        said = " ".join(prompt.brief.facts()).split()
        for text in prompt.references:
            lengths = {name: len(value.split()) for name, value in text.fields()}
            yield Labelled(prompt.brief, text, "reference")
            for kind, source in (("shuffled", None), ("random", said)):
                made = {
                    name: " ".join(
                        rng.permutation(value.split()) if source is None else rng.choice(source, lengths[name])
                    )
                    for name, value in text.fields()
                }
                yield Labelled(prompt.brief, AdText(**made), kind)


def read_labels(prompts: Sequence[Prompt]) -> list[Labelled]:
    briefs = {(prompt.brief.ad.id, prompt.brief.query): prompt.brief for prompt in prompts}
    rows = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    known = [row for row in rows if (row["ad"], row["query"]) in briefs]
    return [Labelled(briefs[row["ad"], row["query"]], _text(row), row["verdict"]) for row in known]


def read_served(path: Path) -> list[Labelled]:
    briefs = {example.name: example.brief for example in load_examples(ROOT / "examples" / "briefs.jsonl")}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Labelled(briefs[row["brief"]](), _text(row), row["verdict"]) for row in rows]


def _text(row: dict[str, str]) -> AdText:
    return AdText(title=row["title"], description=row["description"])


def fit(words: WordModel, taught: Sequence[Labelled]) -> Comprehension:
    taught = [label for label in taught if label.kind in WEIGHT]
    features = np.array([reading(words, *_row(label)) for label in taught])
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    model = LogisticRegression(C=1 / RIDGE, max_iter=5000)
    model.fit(
        quadratic(features, mean, spread),
        [label.kind in READS_WELL for label in taught],
        sample_weight=[WEIGHT[label.kind] for label in taught],
    )
    return Comprehension(words, mean, spread, model.coef_[0], float(model.intercept_[0]))


def report(name: str, fitted: Comprehension, labels: Sequence[Labelled]) -> None:
    """AUC of good against clumsy, mangled and both; the interval draws advertisers."""
    score = fitted.of(*zip(*(_row(label) for label in labels), strict=True))
    kind = np.array([label.kind for label in labels])
    advertiser = np.unique([label.brief.ad.id for label in labels], return_inverse=True)[1]
    for bad in (("clumsy",), ("mangled",), ("clumsy", "mangled")):

        def measure(weights: Floats, bad: tuple[str, ...] = bad) -> float:
            return auc(score, weights * (kind == "good"), weights * np.isin(kind, bad))

        found = bootstrap(measure, advertiser)
        counts = f"{(kind == 'good').sum()} and {np.isin(kind, bad).sum()} texts"
        value = f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
        print(f"{name}: AUC, good against {' and '.join(bad)}: {value}, {counts}")


def _row(label: Labelled) -> tuple[str, Offer, str]:
    return label.brief.query, Offer.of(label.brief), describe_text(label.text)


if __name__ == "__main__":
    main()
