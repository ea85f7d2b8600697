"""`python -m trainer evaluate-policy`: sample policies on advertisers they never saw, compare them, and set out blind
pairs of two.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from trainer.prompts import DataSplit

if TYPE_CHECKING:
    from trainer.evaluation.metrics import Scorer
    from trainer.evaluation.run import Found


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("evaluate-policy")
    add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What a comparison is told."""
    parser.add_argument("--policy", action="append", required=True, metavar="NAME=SOURCE[@EXAMPLES]")
    parser.add_argument("--base")
    parser.add_argument("--split", action="append", choices=get_args(DataSplit))
    parser.add_argument("--language", default="en")
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-completion", type=int, default=96)
    parser.add_argument("--reward-model", type=Path)
    parser.add_argument("--held-out-reward-model", type=Path)
    parser.add_argument("--logged", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--threads", type=int, default=1)


def run(arguments: argparse.Namespace, truth: Scorer | None = None) -> Found:
    """Sample, measure, compare, write; what was found. truth: the true CTCVR where users are simulated."""
    from trainer.evaluation.sampling import Entrant, Sampling

    entrants = [Entrant.of(argument) for argument in arguments.policy]
    if arguments.pairs and len(entrants) != 2:
        raise ValueError(f"pairs {arguments.pairs} with {len(entrants)} policies: a pair is of two, name exactly two")
    import torch
    from rich.console import Console

    from trainer.evaluation.pairs import write_pairs
    from trainer.evaluation.report import write_report
    from trainer.evaluation.run import Yardsticks, evaluate, summary

    torch.set_num_threads(arguments.threads)
    console = Console(stderr=True)
    sticks = Yardsticks.load(
        prompts=arguments.prompts,
        language=arguments.language,
        encoder=arguments.encoder,
        reward_model=arguments.reward_model,
        held_out_reward_model=arguments.held_out_reward_model,
        logged=arguments.logged,
        cache=arguments.cache,
    )
    found = evaluate(
        entrants,
        arguments.split or ["held_out"],
        sticks,
        Sampling(arguments.samples, arguments.seed, arguments.max_completion),
        arguments.out,
        base=arguments.base,
        limit=arguments.limit,
        truth=truth,
        watch=console.print,
    )
    for split, (comparison, measured) in found.items():
        Console().print(summary(split, comparison))
        if arguments.pairs:
            files = arguments.out / split / "pairs.csv", arguments.out / split / "pairs_key.csv"
            write_pairs({one.policy: one.samples for one in measured}, *files, count=arguments.pairs)
    print(write_report(arguments.out / "report.html", found))
    return found
