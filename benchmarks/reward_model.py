"""The reward model on a simulated market with known truth, beside torch-rechub's ESMM, and the speed of scoring.

    python -m benchmarks.reward_model --data DIR                    # all three parts
    python -m benchmarks.reward_model --data DIR --only market --impressions 6000000
    python -m benchmarks.reward_model --data DIR --only peer        # PYTHONPATH=FOLDER where torch-rechub was installed
        with pip --target
    python -m benchmarks.reward_model --data DIR --only scoring

DIR holds the headline tests' packages.csv.gz. Every figure is printed beside its goal.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.goals import Goal, as_records, show
from benchmarks.market.log import read_stories, simulate
from benchmarks.market.users import Users
from benchmarks.record import record
from benchmarks.reward_market import market_part
from benchmarks.reward_peer import against_rechub, scoring_speed
from trainer.config import RewardConfig
from trainer.reward_model.embed import CachedEncoder, SentenceEncoder

PARTS = ("market", "peer", "scoring")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--impressions", type=int, default=6_000_000)
    parser.add_argument("--peer-rows", type=int, default=300_000)
    parser.add_argument("--cache", type=Path, help="keep embeddings in this folder; scoring never uses it")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        cache = chosen.cache or Path(scratch) / "cache"
        for part in (chosen.only,) if chosen.only else PARTS:
            figures, goals = _measure(part, chosen, cache, Path(scratch), console)
            show(console, part, goals)
            name = f"reward_model_{part}"
            record(
                name,
                {**figures, "goals": as_records(goals)},
                ("torch", "numpy", "sentence-transformers", "scikit-learn"),
                chosen.out,
            )


def _measure(
    part: str, chosen: argparse.Namespace, cache: Path, scratch: Path, console: Console
) -> tuple[dict[str, Any], list[Goal]]:
    stories = read_stories(chosen.data)
    if part == "scoring":
        return scoring_speed(stories, scratch / "cold")
    users = Users.load(cache)
    if part == "peer":
        return against_rechub(
            simulate(stories, users, chosen.peer_rows, seed=1), CachedEncoder(SentenceEncoder(), cache)
        )
    log = simulate(stories, users, chosen.impressions)
    return market_part(log, users, scratch / "snapshot", cache, RewardConfig(tested=0.3), console.log)


if __name__ == "__main__":
    main()
