"""Comparing policies: sample them on advertisers they never saw, measure, and set out blind pairs of two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.prompts import DataSplit

if TYPE_CHECKING:
    from trainer.evaluation.metrics import Scorer
    from trainer.evaluation.run import Found


def run(
    *,
    policies: Sequence[str],
    out: Path,
    splits: Sequence[DataSplit] = ("held_out",),
    reward_model: Path | None = None,
    held_out_reward_model: Path | None = None,
    logged: Path | None = None,
    base: str | None = None,
    prompts_file: Path | None = None,
    language: str = "en",
    limit: int | None = None,
    samples: int = 5,
    seed: int = 0,
    max_completion: int = 96,
    encoder: str = "minilm",
    pairs: int | None = None,
    cache: Path | None = None,
    threads: int = 1,
    truth: Scorer | None = None,
) -> Found:
    """Sample, measure, compare, write. truth: the true CTCVR where users are simulated."""
    if pairs and len(policies) != 2:
        raise ValueError(f"pairs {pairs} with {len(policies)} policies: a pair is of two, name exactly two")
    import torch
    from rich.console import Console

    from trainer.evaluation.report import write_report
    from trainer.evaluation.run import Yardsticks, evaluate, summary
    from trainer.evaluation.sampling import Entrant, Sampling

    torch.set_num_threads(threads)
    sticks = Yardsticks.load(
        prompts=prompts_file,
        language=language,
        encoder=encoder,
        reward_model=reward_model,
        held_out_reward_model=held_out_reward_model,
        logged=logged,
        cache=cache,
    )
    watch = Console(stderr=True).print
    sampling = Sampling(samples, seed, max_completion)
    entrants = [Entrant.of(policy) for policy in policies]
    found = evaluate(entrants, splits, sticks, sampling, out, base=base, limit=limit, truth=truth, watch=watch)
    Console().print(*(summary(split, comparison) for split, (comparison, _) in found.items()), sep="\n")
    if pairs:
        _write_pairs(found, out, pairs)
    print(write_report(out / "report.html", found))
    return found


def _write_pairs(found: Found, out: Path, count: int) -> None:
    from trainer.evaluation.pairs import write_pairs

    for split, (_, measured) in found.items():
        files = out / split / "pairs.csv", out / split / "pairs_key.csv"
        write_pairs({policy.name: policy.samples for policy in measured}, *files, count=count)
