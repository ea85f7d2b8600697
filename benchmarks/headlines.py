"""Which headline wins? Within-test accuracy on real clicks: the Upworthy headline tests, split by story group.

    python -m benchmarks.headlines --data DIR                       # five-fold cross-validation over story groups,
        every kind of feature
    python -m benchmarks.headlines --train DIR --test DIR           # train on one part, judge on another

DIR holds packages.csv.gz (The Upworthy Research Archive, Matias et al., Scientific Data 8, 195, 2021, CC BY 4.0). A
pair is two packages of one test with different headlines whose click rates differ at p < 0.01 or p < 0.001. Tests of
the risk window are trained on, never judged: their assignment may have been imbalanced. Intervals draw whole story
groups.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.headline_model import SCALES, Features, Floats, Packages, fit_weights, predict, read_packages
from benchmarks.record import record
from trainer.reward_model.dataset import share_of
from trainer.reward_model.embed import CachedEncoder, Encoder, SentenceEncoder
from trainer.reward_model.metrics import Pairs, competing_pairs, pair_accuracy

FOLDS = 5
LEVELS = (0.01, 0.001)
GOALS = {0.01: 0.74, 0.001: 0.79}
MODELS: dict[str, Mapping[str, float]] = {
    "length": {"length": 1.0},
    "surface": {"surface": 0.04},
    "words": {"words": 0.13},
    "characters": {"characters": 0.09},
    "embedding": {"embedding": 0.09},
    "embedding, surface": {"embedding": 0.08, "surface": 0.03},
    "embedding, words, characters": {kind: SCALES[kind] for kind in ("embedding", "words", "characters")},
    "all four": SCALES,
}


def judged_pairs(packages: Packages) -> Pairs:
    """Pairs of different headlines of one test outside the risk window."""
    pairs = competing_pairs(packages.test, packages.group, packages.clicks, packages.impressions)
    headline = np.array(packages.headline, dtype=object)
    kept = (headline[pairs.better] != headline[pairs.worse]) & ~packages.risky[pairs.better]
    return Pairs(pairs.better[kept], pairs.worse[kept], pairs.p_value[kept], pairs.group[kept])


def predictions(train: Packages, test: Packages, encoder: Encoder) -> dict[str, Floats]:
    """Every model's expected log CTR of the test's headlines; nothing of them, not even their words, is fitted."""
    if shared := set(_names(train)) & set(_names(test)):
        raise SystemExit(
            f"{len(shared)} story groups are in both parts, such as {sorted(shared)[0]}: split by story_group"
        )
    features = Features.fit(train.headline, encoder)
    known, new = features.blocks(train.headline), features.blocks(test.headline)
    return {name: predict(new, fit_weights(known, train, scales)) for name, scales in MODELS.items()}


def cross_validated(packages: Packages, encoder: Encoder) -> dict[str, Floats]:
    fold = np.array([int(FOLDS * share_of(name, "headlines")) for name in packages.group_names])[packages.group]
    found = {name: np.zeros(len(packages.headline)) for name in MODELS}
    for number in track(range(FOLDS), description="folds"):
        for name, predicted in predictions(
            packages.where(fold != number), packages.where(fold == number), encoder
        ).items():
            found[name][fold == number] = predicted
    return found


def measure(packages: Packages, found: Mapping[str, Floats]) -> dict[str, Any]:
    pairs = judged_pairs(packages)
    figures: dict[str, Any] = {}
    for name, predicted in found.items():
        for level in LEVELS:
            accuracy, count = pair_accuracy(predicted, pairs, level)
            figures.setdefault(name, {})[f"p<{level}"] = {
                "accuracy": accuracy.value,
                "interval": [accuracy.low, accuracy.high],
                "pairs": count,
            }
    return figures


def show(console: Console, title: str, figures: Mapping[str, Any]) -> None:
    heads = (f"p < {level:g}, pairs (goal {GOALS[level]})" for level in LEVELS)
    table = Table("model", *heads, title=title, box=None)
    for name, by_level in figures.items():
        values = [(level["accuracy"], *level["interval"], level["pairs"]) for level in by_level.values()]
        table.add_row(name, *(f"{value:.3f} [{low:.3f}, {high:.3f}], {pairs:,}" for value, low, high, pairs in values))
    console.print(table)


def _names(packages: Packages) -> list[str]:
    return [packages.group_names[number] for number in np.unique(packages.group)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="cross-validate over its story groups")
    parser.add_argument("--train", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--cache", type=Path, help="keep embeddings in this folder")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if bool(arguments.data) == bool(arguments.train) or bool(arguments.train) != bool(arguments.test):
        parser.error("name either --data, or --train and --test")
    encoder: Encoder = SentenceEncoder()
    encoder = CachedEncoder(encoder, arguments.cache) if arguments.cache else encoder
    console = Console()
    if arguments.data:
        packages = read_packages(arguments.data)
        title, found = f"{FOLDS}-fold cross-validation over story groups", cross_validated(packages, encoder)
    else:
        train, packages = read_packages(arguments.train), read_packages(arguments.test)
        title, found = "trained on one part, judged on the other", predictions(train, packages, encoder)
    figures = measure(packages, found)
    show(console, title, figures)
    name = "headlines" if arguments.data else "headlines_test"
    record(
        name, {"judged": title, "models": figures}, ("numpy", "scikit-learn", "sentence-transformers"), arguments.out
    )


if __name__ == "__main__":
    main()
