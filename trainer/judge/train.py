"""Training a judge: cross-validation by advertiser for calibration and thresholds, then one model on everything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from trainer.bootstrap import FloatArray
from trainer.config import JudgeConfig
from trainer.judge.calibrate import platt, thresholds
from trainer.judge.examples import Examples, Watch, training_examples
from trainer.judge.export import trees_of
from trainer.scoring.judge import PackagedJudge, Platt
from trainer.scoring.trees import Trees

HEADS = ("true", "well_written")


def train_judge(config: JudgeConfig, watch: Watch) -> PackagedJudge:
    """A judge, calibrated, with its thresholds. The same config and data make the same judge."""
    examples, grams = training_examples(config, watch)
    scored = {head: np.full(len(examples.items), np.nan) for head in HEADS}
    folds = list(_folds(examples, config))
    for number, (inside, outside) in enumerate(folds):
        watch("cross-validation", number, len(folds))
        for head in HEADS:
            scored[head][outside] = _fit(examples, inside, head, config)(examples.rows[outside])
    labelled = np.array([item.labelled for item in examples.items])
    calibrations = {head: _calibrated(examples, scored[head], labelled, head) for head in HEADS}
    publishable = calibrations["true"](scored["true"]) * calibrations["well_written"](scored["well_written"])
    watch("training", 0, 1)
    everything = np.ones(len(examples.items), dtype=bool)
    heads = {head: _fit(examples, everything, head, config) for head in HEADS}
    return PackagedJudge(
        version=_version(config, examples),
        thresholds=thresholds(examples, publishable, config),
        kind=config.features,
        names=examples.names,
        grams=grams,
        true=heads["true"],
        well_written=heads["well_written"],
        true_calibration=calibrations["true"],
        well_written_calibration=calibrations["well_written"],
    )


def _version(config: JudgeConfig, examples: Examples) -> str:
    """A name made of all that made the judge."""
    content = hashlib.sha256(config.model_dump_json().encode())
    content.update(np.ascontiguousarray(examples.rows).tobytes())
    content.update("".join(item.kind for item in examples.items).encode())
    return f"judge-{config.features}-{content.hexdigest()[:8]}"


def _folds(examples: Examples, config: JudgeConfig) -> Iterator[tuple[Any, Any]]:
    """(rows to fit on, rows to score): no advertiser is on both sides."""
    advertisers = examples.advertisers
    names = np.unique(advertisers)
    np.random.default_rng(config.seed).shuffle(names)
    for number in range(config.folds):
        outside = np.isin(advertisers, names[number :: config.folds])
        yield ~outside, outside


def _target(examples: Examples, head: str) -> tuple[FloatArray, Any]:
    """The head's outcome, and which rows have one. `well_written` is learned on true texts only, so that the product
    of the heads is P(true and well written).
    """
    outcome = examples.column(head)
    known = np.array([value is not None for value in outcome])
    return np.array([bool(value) for value in outcome], dtype=float), known


def _fit(examples: Examples, inside: Any, head: str, config: JudgeConfig) -> Trees:
    from sklearn.ensemble import GradientBoostingClassifier  # type: ignore[import-untyped]

    outcome, known = _target(examples, head)
    weight = examples.column("weight").astype(float)
    chosen = inside & known & (weight > 0)
    model = GradientBoostingClassifier(
        n_estimators=config.trees,
        max_depth=config.depth,
        learning_rate=config.learning_rate,
        subsample=config.rows,
        max_features=config.columns,
        min_samples_leaf=config.leaf,
        random_state=config.seed,
    )
    model.fit(examples.rows[chosen], outcome[chosen], sample_weight=weight[chosen])
    return trees_of(model, examples.rows[chosen][:1])


def _calibrated(examples: Examples, log_odds: FloatArray, labelled: Any, head: str) -> Platt:
    outcome, known = _target(examples, head)
    chosen = labelled & known
    return platt(log_odds[chosen], outcome[chosen])
