"""`python -m trainer sft`: supervised fine-tuning on the reference ads."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.config import SftConfig, load_config
from trainer.prompts import load_prompts


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("sft")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--policy", required=True)
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    config = load_config(SftConfig, arguments.config, arguments.set)
    prompts = load_prompts(arguments.prompts, language=config.language, split="train")
    import torch

    from trainer.baselines.sft import train_sft

    torch.set_num_threads(arguments.threads)
    print(train_sft(arguments.policy, prompts, config, arguments.out))
