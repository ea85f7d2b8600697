"""How good a judge is on labelled texts of advertisers that no judge learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np

from trainer.bootstrap import FloatArray, Interval, bootstrap
from trainer.config import JudgeConfig
from trainer.judge.calibrate import calibration_error
from trainer.judge.corruptions import UNREADABLE, UNTRUE
from trainer.judge.examples import Watch, test_examples
from trainer.judge.labels import VERDICTS
from trainer.scoring.judge import PackagedJudge


@dataclass(frozen=True)
class Found:
    """What was measured of one judge."""

    judge: PackagedJudge
    texts: dict[str, int]  # by kind
    passed: dict[str, Interval]  # share at the serving threshold or above, by kind
    kept: dict[str, float]  # share at the review threshold or above, by kind
    precision: Interval  # share of good texts among the labelled ones that pass
    auc: dict[str, Interval]
    calibration_error: float
    curve: dict[str, list[float]]  # share that passes each threshold, by verdict; `threshold` is the axis
    ms_per_text: float

    def figures(self) -> dict[str, Any]:
        """For a results file."""
        limits = self.judge.thresholds
        return {
            "version": self.judge.version,
            "thresholds": {"serve": limits.serve, "review": limits.review},
            "texts": self.texts,
            "passed": {kind: _figures(share) for kind, share in self.passed.items()},
            "reach_review": {kind: round(share, 4) for kind, share in self.kept.items()},
            "good_among_passed": _figures(self.precision),
            "auc": {name: _figures(value) for name, value in self.auc.items()},
            "calibration_error": round(self.calibration_error, 4),
            "cpu_ms_per_text": round(self.ms_per_text, 2),
        }


def _figures(value: Interval) -> list[float]:
    return [round(number, 4) for number in (value.value, value.low, value.high)]


def evaluate(judge: PackagedJudge, watch: Watch) -> Found:
    """Everything about one judge, with 95 % intervals from a cluster bootstrap by advertiser."""
    started = process_time()
    examples = test_examples(JudgeConfig(), judge.kind, judge.grams, watch)
    seconds = process_time() - started
    true = judge.true_calibration(judge.true(examples.rows))
    well_written = judge.well_written_calibration(judge.well_written(examples.rows))
    publishable = true * well_written
    kinds, group = examples.column("kind"), np.unique(examples.advertisers, return_inverse=True)[1]
    passes = publishable >= judge.thresholds.serve
    order = [*VERDICTS, "reference", "composed", *UNTRUE, *UNREADABLE]
    present = [kind for kind in order if (kinds == kind).any()]
    labelled = np.isin(kinds, VERDICTS)
    good = kinds == "good"
    axis = np.linspace(0, 1, 101)
    return Found(
        judge=judge,
        texts={kind: int((kinds == kind).sum()) for kind in present},
        passed={kind: _share(passes[kinds == kind], group[kinds == kind]) for kind in present},
        kept={kind: float((publishable[kinds == kind] >= judge.thresholds.review).mean()) for kind in present},
        precision=_share(good[labelled & passes], group[labelled & passes]),
        auc={
            "good against false": _auc(publishable, good, labelled & (good | (kinds == "false")), group),
            "good against the rest": _auc(publishable, good, labelled, group),
            "true head: false against the rest": _auc(true, kinds != "false", labelled, group),
            "writing head: good against mangled and clumsy": _auc(
                well_written, good, labelled & (kinds != "false"), group
            ),
        },
        calibration_error=calibration_error(publishable[labelled], good[labelled].astype(float)),
        curve={
            "threshold": [float(at) for at in axis],
            **{kind: [float((publishable[kinds == kind] >= at).mean()) for at in axis] for kind in VERDICTS},
        },
        ms_per_text=1000 * seconds / len(examples.items),
    )


def _share(hits: Any, group: Any) -> Interval:
    def share(weight: FloatArray) -> float:
        return float((weight * hits).sum() / weight.sum()) if weight.sum() else float("nan")

    return bootstrap(share, group)


def _auc(score: FloatArray, positive: Any, chosen: Any, group: Any) -> Interval:
    return bootstrap(_weighted_auc(score[chosen], positive[chosen]), group[chosen])


def _weighted_auc(score: FloatArray, positive: Any) -> Callable[[FloatArray], float]:
    """AUC of texts that count as often as their weight says; ties count half."""
    inverse = np.unique(score, return_inverse=True)[1]
    levels = int(inverse.max()) + 1

    def auc(weight: FloatArray) -> float:
        up = np.bincount(inverse, weight * positive, minlength=levels)
        down = np.bincount(inverse, weight * ~positive.astype(bool), minlength=levels)
        below = np.concatenate(([0.0], np.cumsum(down)[:-1]))
        pairs = up.sum() * down.sum()
        return float((up * (below + down / 2)).sum() / pairs) if pairs else float("nan")

    return auc
