"""What each option of the reward model is worth on the simulated market: the same log, with and without it, judged by
the truth.

    python -m benchmarks.reward_options --data DIR

Two logs are thinned from an even one, so that the truth stays known: a steered log shows what users like more often and
at better places, as a live pool does, and its propensities are logged; a young log has only the impressions that are
mature eight days after the last.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.special import expit

from benchmarks.market.constants import PLACES
from benchmarks.market.log import DAYS, WINDOW_HOURS, read_stories, simulate, write_snapshot
from benchmarks.market.users import Users
from benchmarks.market.version import market_hash
from benchmarks.record import record
from benchmarks.reward_market import Judged, truth_of
from trainer.config import RewardConfig
from trainer.reward_model.dataset import Cells, FloatArray, read_cells, split
from trainer.reward_model.embed import CachedEncoder, SentenceEncoder
from trainer.reward_model.score import member_logits
from trainer.reward_model.surface import ShapedEncoder
from trainer.reward_model.train import train_ensemble
from trainer.snapshot import read_snapshot

STEERING = 1.5  # odds of being shown, by a z-score of appeal and by place: how hard the log is steered
RANKING_WEIGHTS = (0.03, 0.3)


def thinned(cells: Cells, keep: FloatArray, seed: int) -> Cells:
    """The log in which each impression was kept with probability keep [N]."""
    assert cells.conversions is not None
    rng = np.random.default_rng(seed)
    kinds = cells.conversions, cells.clicks - cells.conversions, cells.impressions - cells.clicks
    converted, clicked, ignored = (rng.binomial(kind.astype(np.int64), keep).astype(np.float64) for kind in kinds)
    left = replace(cells, impressions=converted + clicked + ignored, clicks=converted + clicked, conversions=converted)
    return left.where(left.impressions > 0)


def steering(cells: Cells, users: Users) -> FloatArray:
    """[N] propensity of a cell's impressions: liked texts at the first places, others at the last."""
    liked = users.taste.appeal(cells.strings)[cells.text]
    place = (len(PLACES) - 1) / 2 - cells.position
    return np.asarray(expit(STEERING * liked * place / 1.5), dtype=np.float64).clip(0.02, 1.0)


def weighted(cells: Cells, weights: FloatArray) -> Cells:
    """Every impression counted `weights` times: inverse propensities make a steered log stand for an even one."""
    assert cells.conversions is not None
    impressions, clicks, conversions = (
        count * weights for count in (cells.impressions, cells.clicks, cells.conversions)
    )
    return replace(cells, impressions=impressions, clicks=clicks, conversions=conversions)


def predicted(cells: Cells, tested: Cells, config: RewardConfig, cache: Path) -> FloatArray:
    """[tested] uncalibrated pCTCVR of an ensemble trained on these cells."""
    parts = split(cells, config)
    encoder: Any = CachedEncoder(SentenceEncoder(), cache)
    if config.surface:
        encoder = ShapedEncoder.fit(encoder, [cells.strings[number] for number in np.unique(parts.training.text)])
    vectors = torch.from_numpy(encoder.encode(cells.strings))
    members = train_ensemble(parts.training, parts.tuning, vectors, config)
    return np.asarray(
        expit(
            member_logits(members, vectors, config, tested.query, tested.ad, tested.text, tested.position)[1].mean(
                axis=0
            )
        )
    )


def effects(judged: Judged, against: str, console: Console, title: str) -> dict[str, Any]:
    """Every prediction's order inside a brief and AUC, and how much they differ from one of them."""
    table = Table("", "order inside a brief", "AUC", "order, difference", "AUC, difference", title=title, box=None)
    found: dict[str, Any] = {}
    even = np.ones(len(judged.cells))
    for name in judged.predicted:
        order, area = (
            judged.interval(lambda w, m=measure, n=name: m(n, w) - m(against, w))  # type: ignore[misc]
            for measure in (judged.order, judged.auc)
        )
        values = judged.order(name, even), judged.auc(name, even)
        table.add_row(
            name,
            *(f"{value:.4f}" for value in values),
            *("" if name == against else str(interval) for interval in (order, area)),
        )
        found[name] = {
            "order": values[0],
            "auc": values[1],
            "order difference": vars_of(order),
            "auc difference": vars_of(area),
        }
    console.print(table)
    return found


def vars_of(interval: Any) -> list[float]:
    return [interval.value, interval.low, interval.high]


def even_log(cells: Cells, config: RewardConfig, cache: Path) -> dict[str, FloatArray]:
    tested = split(cells, config).tested
    mature = (DAYS - WINDOW_HOURS / 24 - 1) / DAYS
    variants: Mapping[str, tuple[Cells, RewardConfig]] = {
        "as configured": (cells, config),
        "without surface features": (cells, config.with_changes(surface=False)),
        "one member": (cells, config.with_changes(members=1, bootstrap=False)),
        **{
            f"ranking term, weight {weight:g}": (cells, config.with_changes(ranking_weight=weight))
            for weight in RANKING_WEIGHTS
        },
        "young log: mature impressions alone": (thinned(cells, np.full(len(cells), mature), 2), config),
    }
    return {name: predicted(rows, tested, setting, cache) for name, (rows, setting) in variants.items()}


def steered_log(cells: Cells, users: Users, config: RewardConfig, cache: Path) -> dict[str, FloatArray]:
    tested = split(cells, config).tested
    steered = thinned(cells, steering(cells, users), 1)
    blind = replace(steered, position=np.zeros_like(steered.position))
    variants = {
        "place as an additive term": steered,
        "place ignored": blind,
        "place as a term, weighted by 1/propensity": weighted(steered, 1 / steering(steered, users)),
        "place ignored, weighted by 1/propensity": weighted(blind, 1 / steering(steered, users)),
    }
    return {name: predicted(rows, tested, config, cache) for name, rows in variants.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--impressions", type=int, default=6_000_000)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        cache = chosen.cache or Path(scratch) / "cache"
        users = Users.load(cache)
        log = simulate(read_stories(chosen.data), users, chosen.impressions)
        write_snapshot(log, Path(scratch) / "snapshot")
        cells = read_cells(read_snapshot(Path(scratch) / "snapshot"))
        config = RewardConfig(tested=0.3, members=chosen.members)
        tested = split(cells, config).tested
        truth = truth_of(log, tested)
        even = Judged(tested, truth, even_log(cells, config, cache))
        steered = Judged(tested, truth, steered_log(cells, users, config, cache))
    figures = {
        "market": market_hash(),
        "even log": effects(even, "as configured", console, "even log"),
        "steered log": effects(steered, "place as an additive term", console, "steered log"),
    }
    record("reward_options", figures, ("torch", "numpy", "sentence-transformers"), chosen.out)


if __name__ == "__main__":
    main()
