"""`python -m trainer ablate` and `training-report`: five reward configurations compared; one run's page."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.config import AblateConfig, load_config


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("ablate")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--policy", required=True)
    parser.add_argument("--base")
    parser.add_argument("--reward-model", type=Path, required=True)
    parser.add_argument("--held-out-reward-model", type=Path)
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.set_defaults(run=run)

    page = commands.add_parser("training-report")
    page.add_argument("--run", dest="folder", type=Path, required=True)
    page.add_argument("--report", type=Path, required=True)
    page.set_defaults(run=report)


def run(arguments: argparse.Namespace) -> None:
    config = load_config(AblateConfig, arguments.config, arguments.set)
    import torch
    from rich.console import Console

    from trainer.evaluation.ablation import ablate
    from trainer.evaluation.run import Yardsticks
    from trainer.grpo.setup import Inputs

    torch.set_num_threads(arguments.threads)
    given = {
        "reward_model": arguments.reward_model,
        "held_out_reward_model": arguments.held_out_reward_model,
        "cache": arguments.cache,
    }
    inputs = Inputs(policy=arguments.policy, base=arguments.base, **given)
    sticks = Yardsticks.load(prompts=arguments.prompts, language=config.language, **given)
    print(ablate(config, inputs, sticks, arguments.out, watch=Console(stderr=True).print))


def report(arguments: argparse.Namespace) -> None:
    from trainer.evaluation.training_report import write_training_report

    print(write_training_report(arguments.folder, arguments.report))
