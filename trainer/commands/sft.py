"""Supervised fine-tuning on the reference ads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.commands.start import starting_policy
from trainer.config import SftConfig, load_config
from trainer.prompts import load_prompts


def run(
    *,
    policy: str | None,
    base: str | None,
    config_file: Path | None,
    changes: Sequence[str],
    prompts_file: Path | None,
    out: Path,
    data_dir: Path,
    threads: int,
) -> None:
    """Train, and print the policy's folder."""
    config = load_config(SftConfig, config_file, changes)
    prompts = load_prompts(prompts_file, language=config.language, split="train")
    import torch

    from trainer.baselines.sft import train_sft

    torch.set_num_threads(threads)
    print(train_sft(starting_policy(policy, data_dir), prompts, config, out, base=base))
