"""Write a snapshot of the simulated market, as `relate export` writes one of the real market.

    python -m benchmarks.market --out SNAPSHOT [--advertisers trainer/data/advertisers]      # search ads of the
        training advertisers
    python -m benchmarks.market --out SNAPSHOT --headlines DIR                               # the headline tests' other
        half

SNAPSHOT/market.txt holds the market's hash.

Train on it with `relate train reward --snapshot SNAPSHOT --config trainer/configs/reward_cpu.yaml`. Train the held-out
reward model with reward_held_out.yaml.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.progress import track

from benchmarks.market.ads import ad_stories
from benchmarks.market.log import read_stories, simulate, write_snapshot
from benchmarks.market.users import Users
from benchmarks.market.version import market_hash
from trainer.prompts import ADVERTISERS, PromptError, load_prompts
from trainer.snapshot import SnapshotError


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.market", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument(
        "--advertisers", type=Path, default=ADVERTISERS, help="a file or folder of advertisers; those held out stay out"
    )
    parser.add_argument("--headlines", type=Path, help="show the headlines of DIR/packages.csv.gz instead of ads")
    parser.add_argument("--cache", type=Path, help="keep embeddings in this folder")
    parser.add_argument("--impressions", type=int, default=4_000_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    try:
        stories = (
            read_stories(chosen.headlines)
            if chosen.headlines
            else ad_stories(load_prompts(chosen.advertisers, split="train"), chosen.seed)
        )
        log = simulate(stories, Users.load(chosen.cache), chosen.impressions, chosen.seed)
        write_snapshot(log, chosen.out, watch=lambda parts: track(parts, description="impressions"))
        (chosen.out / "market.txt").write_text(market_hash() + "\n", encoding="utf-8")
    except (PromptError, SnapshotError, OSError) as error:
        parser.error(str(error))
    clicks, both = log.expected_click.mean(), log.expected_both.mean()
    print(
        f"{chosen.out}: {chosen.impressions:,} impressions of {len(stories.text):,} texts in "
        f"{len(set(stories.group)):,} groups of market {market_hash()}; "
        f"expected CTR {clicks:.2%}, CVR {both / clicks:.2%}"
    )


if __name__ == "__main__":
    main()
