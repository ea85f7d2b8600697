"""Five reward configurations compared, and the page of one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.config import AblateConfig, load_config


def run(
    *,
    policy: str,
    base: str | None,
    reward_model: Path,
    held_out_reward_model: Path | None,
    config_file: Path | None,
    changes: Sequence[str],
    prompts_file: Path | None,
    out: Path,
    cache: Path | None,
    threads: int,
) -> None:
    """Train every configuration, compare them, and print the page's path."""
    config = load_config(AblateConfig, config_file, changes)
    import torch
    from rich.console import Console

    from trainer.evaluation.ablation import ablate
    from trainer.evaluation.run import Yardsticks
    from trainer.grpo import Inputs

    torch.set_num_threads(threads)
    inputs = Inputs(
        policy=policy,
        base=base,
        reward_model=reward_model,
        held_out_reward_model=held_out_reward_model,
        cache=cache,
    )
    sticks = Yardsticks.load(
        prompts=prompts_file,
        language=config.language,
        reward_model=reward_model,
        held_out_reward_model=held_out_reward_model,
        cache=cache,
    )
    print(ablate(config, inputs, sticks, out, watch=Console(stderr=True).print))


def report(*, run: Path, report: Path) -> None:
    """Write the page of one GRPO run, and print its path."""
    from trainer.evaluation.training_report import write_training_report

    print(write_training_report(run, report))
