"""`python -m trainer dpo`: sample a fine-tuned policy, pair its texts by the reward model, train on the pairs."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.config import DpoConfig, load_config
from trainer.prompts import load_prompts


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("dpo")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--policy", required=True)
    parser.add_argument("--base")
    parser.add_argument("--reward-model", type=Path, required=True)
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    config = load_config(DpoConfig, arguments.config, arguments.set)
    prompts = load_prompts(arguments.prompts, language=config.language, split="train")
    import torch
    from rich.console import Console

    from adtext.rules import load_rules
    from trainer.baselines.dpo import preferences, train_dpo
    from trainer.baselines.nlg import Nlg
    from trainer.evaluation.sampling import Entrant, Sampling, sample
    from trainer.prompts import evenly
    from trainer.reward_model.score import RewardModel

    torch.set_num_threads(arguments.threads)
    console = Console(stderr=True)
    model = RewardModel.load(arguments.reward_model, cache=arguments.cache)
    samples = sample(
        Entrant("policy", arguments.policy), evenly(prompts, config.queries), Sampling(config.samples, config.seed),
        arguments.out / "samples.jsonl", load_rules(), nlg=Nlg(), base=arguments.base, watch=console.print,
    )  # fmt: skip
    pairs = preferences(samples, model)
    console.print(f"{len(pairs)} pairs of {len(samples)} samples")
    print(train_dpo(arguments.policy, pairs, config, arguments.out, base=arguments.base))
