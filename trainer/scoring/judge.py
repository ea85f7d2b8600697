"""The packaged judge: features of (brief, text), boosted trees for each head, calibrated. English. Light: numpy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from adtext.judge import Judgement, Pair, Thresholds
from trainer.scoring.features import features
from trainer.scoring.fluency import Grams
from trainer.scoring.trees import FloatArray, Trees

PACKAGED = Path(__file__).parents[1] / "data" / "judge" / "relate-judge-2"
SECOND = PACKAGED.with_name("second-judge-2")

# one thread: the work is Python, so two would only take turns
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="judge")


@dataclass(frozen=True, slots=True)
class Platt:
    """P = σ(slope · log-odds + offset)."""

    slope: float
    offset: float

    def __call__(self, log_odds: FloatArray) -> FloatArray:
        calibrated: FloatArray = 1 / (1 + np.exp(-(self.slope * log_odds + self.offset)))
        return calibrated


@dataclass(frozen=True)
class PackagedJudge:
    """Implements `adtext.judge.Judge`."""

    version: str
    thresholds: Thresholds
    kind: str  # which features it reads: a name in trainer.scoring.features.FEATURES
    names: tuple[str, ...]  # names of the features, in the trees' order
    grams: Grams
    true: Trees
    well_written: Trees
    true_calibration: Platt
    well_written_calibration: Platt

    @classmethod
    def load(cls, folder: Path = PACKAGED) -> PackagedJudge:
        """The judge that `relate train judge` wrote into the folder."""
        about = json.loads((folder / "judge.json").read_text("utf-8"))
        counted = json.loads((folder / "ngrams.json").read_text("utf-8"))
        with np.load(folder / "trees.npz", allow_pickle=False) as arrays:
            heads = {name: Trees.of(arrays, name) for name in ("true", "well_written")}
        return cls(
            version=about["version"],
            thresholds=Thresholds(**about["thresholds"]),
            kind=about["features"],
            names=tuple(about["names"]),
            grams=Grams(**counted | {"kept": frozenset(counted["kept"])}),
            true=heads["true"],
            well_written=heads["well_written"],
            true_calibration=Platt(**about["calibration"]["true"]),
            well_written_calibration=Platt(**about["calibration"]["well_written"]),
        )

    def save(self, folder: Path, **more: object) -> None:
        """Write the judge, and what else is to be known about it, into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        about = {
            "version": self.version,
            "thresholds": {"serve": self.thresholds.serve, "review": self.thresholds.review},
            "features": self.kind,
            "calibration": {
                "true": {"slope": self.true_calibration.slope, "offset": self.true_calibration.offset},
                "well_written": {
                    "slope": self.well_written_calibration.slope,
                    "offset": self.well_written_calibration.offset,
                },
            },
            "names": self.names,
        }
        (folder / "judge.json").write_text(json.dumps(about | more, indent=1, ensure_ascii=False) + "\n", "utf-8")
        grams = {
            "counts": self.grams.counts, "followers": self.grams.followers, "kept": sorted(self.grams.kept),
            "total": self.grams.total,
        }  # fmt: skip
        (folder / "ngrams.json").write_text(json.dumps(grams, ensure_ascii=False) + "\n", "utf-8")
        arrays: dict[str, Any] = self.true.arrays("true") | self.well_written.arrays("well_written")
        np.savez_compressed(folder / "trees.npz", **arrays)

    def covers(self, language: str) -> bool:
        return language == "en"

    def score(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """The judgements, computed in this thread: about 3 ms per text."""
        if not pairs:
            return []
        for brief, _ in pairs:
            if not self.covers(brief.language):
                raise ValueError(f"locale {brief.locale} is not English: {self.version} judges English texts only")
        found = [features(self.kind, brief, text, self.grams) for brief, text in pairs]
        rows = np.array([[values[name] for name in self.names] for values in found])
        true = self.true_calibration(self.true(rows))
        well_written = self.well_written_calibration(self.well_written(rows))
        return [Judgement(float(a), float(b)) for a, b in zip(true, well_written, strict=True)]

    async def judge(self, pairs: Sequence[Pair]) -> Sequence[Judgement]:
        return await asyncio.get_running_loop().run_in_executor(_thread, self.score, pairs)

    async def close(self) -> None:
        """Nothing is held."""


@cache
def packaged_judge() -> PackagedJudge:
    """The judge that ships with the package, read once."""
    return PackagedJudge.load()


@cache
def second_judge() -> PackagedJudge:
    """The second judge, read once: other features, other advertisers. It is for reporting; no choice may read it."""
    return PackagedJudge.load(SECOND)
