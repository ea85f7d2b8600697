"""`relate evaluate policy` with one column more: the true CTCVR of every text, which simulated users have and real ones
never tell. Each policy's share of the market's ceiling is printed beside it, under the market's hash: the references'
CTCVR, and that of the best of 16 references and rewordings of them by the truth.

    python -m benchmarks.policy --policy sft=FOLDER --policy base=FOLDER@2 --policy nlg --policy dpo=FOLDER --policy
    relate=FOLDER
        --split held_out --split new_industry --reward-model V --held-out-reward-model W --logged SNAPSHOT --out DIR

With policies of these names it says whether RELATE is above SFT, and SFT above the base, as they should be: more
compliant, more varied and better converting, but not by saying less, copying more, or writing one text over and over.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from rich.console import Console

from adtext.brief import AdBrief, AdText
from benchmarks.goals import Goal, as_records, show
from benchmarks.market.ceiling import ceiling, show_standings, standing
from benchmarks.market.users import Users
from benchmarks.market.version import market_hash
from benchmarks.record import record
from trainer.commands.evaluate import run
from trainer.evaluation.compare import PolicyComparison
from trainer.evaluation.metrics import MEASURES
from trainer.evaluation.sampling import Entrant
from trainer.prompts import DataSplit, evenly, load_prompts

TABLE = {"sft", "base", "nlg", "dpo", "relate"}
RISE, ENOUGH = 0.11, 0.98  # required rise of compliance, or the level that suffices
DISTINCT = 0.8  # smallest share of distinct texts per brief
MARGIN, KEPT = 0.02, 0.9  # what may be lost of what should stay: absolute, and as a share


def main() -> None:
    arguments = _options()
    chosen = {name: value for name, value in vars(arguments).items() if name != "record"}
    users = Users.load(arguments.cache)

    def true_ctcvr(briefs: Sequence[AdBrief], texts: Sequence[AdText]) -> npt.NDArray[np.float64]:
        return users.of_briefs(briefs, texts).ctcvr

    figures: dict[str, Any] = {"market": market_hash()}
    for split, (comparison, measured) in run(**chosen, truth=true_ctcvr).items():
        goals = [*relate_over_sft(comparison, arguments.samples), *sft_over_base(comparison)]
        show(Console(), split, goals)
        prompts = evenly(load_prompts(arguments.prompts_file, split=split), arguments.limit)
        top = ceiling(users, prompts)
        standings = {each.name: standing(users, each, top) for each in measured}
        show_standings(Console(), split, top, standings)
        figures[split] = {
            "goals": as_records(goals),
            "ceiling": asdict(top),
            "standings": {name: asdict(found) for name, found in standings.items()},
            **asdict(comparison),
        }
    if arguments.record or {Entrant.of(policy).name for policy in arguments.policies} >= TABLE:
        print(f"written to {record('policy', figures, ('torch', 'transformers', 'trl'), arguments.record)}")


def _options() -> argparse.Namespace:
    """The options of `relate evaluate policy`, which explains them, and --record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", dest="policies", action="append", required=True, metavar="NAME=FOLDER[@EXAMPLES]")
    parser.add_argument("--split", dest="splits", action="append", choices=get_args(DataSplit), required=True)
    parser.add_argument("--prompts", dest="prompts_file", type=Path)
    for name in ("--reward-model", "--held-out-reward-model", "--logged", "--cache"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base")
    parser.add_argument("--samples", type=int, default=5)
    for name in ("--limit", "--pairs"):
        parser.add_argument(name, type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--record",
        type=Path,
        help="where the figures go; default: a whole table to benchmarks/results, a part of it nowhere",
    )
    return parser.parse_args()


def relate_over_sft(comparison: PolicyComparison, samples: int) -> Iterator[Goal]:
    """RELATE minus SFT, paired by advertiser; shares of SFT's where a habit of writing should stay."""
    if comparison.policies[0] != "sft" or "relate" not in comparison.policies:
        return
    relate = comparison.policies.index("relate")
    means = {name: (each[0].value, each[relate].value) for name, each in comparison.means.items()}
    differences = {name: each[relate] for name, each in comparison.differences.items()}

    def surely(name: str, rule: Literal["above", "at least"], bound: float) -> Goal:
        found = differences[name]
        return Goal(
            f"RELATE over SFT: {MEASURES[name].label}", found.value, rule, bound, found.low, found.high, sure=True
        )

    yield from (
        surely(name, "above", 0.0)
        for name in ("compliance", "diversity", "held_out_reward_model")
        if name in differences
    )
    if means["compliance"][1] < ENOUGH:
        yield Goal("rise of the Compliance Rate", differences["compliance"].value, "at least", RISE)
    yield from (surely(name, "at least", -MARGIN) for name in ("relevance", "format"))
    yield surely("distinct", "at least", -MARGIN * samples)  # a count: the margin is a share of the texts a brief
    yield Goal(f"distinct texts of {samples}", means["distinct"][1], "at least", DISTINCT * samples)
    copy = differences["copy"]  # higher where even the low end is
    yield Goal("low end of the rise of the copy rate", copy.low, "at most", 0.0)
    for name in ("words", "points"):
        yield Goal(f"{MEASURES[name].label}, share of SFT's", means[name][1] / means[name][0], "at least", KEPT)


def sft_over_base(comparison: PolicyComparison) -> Iterator[Goal]:
    if comparison.policies[0] != "sft" or "base" not in comparison.policies:
        return
    for name in ("compliance", "format"):
        base = comparison.differences[name][comparison.policies.index("base")]
        yield Goal(
            f"SFT over base: {MEASURES[name].label}", -base.value, "above", 0.0, -base.high, -base.low, sure=True
        )


if __name__ == "__main__":
    main()
