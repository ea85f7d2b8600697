"""`relate train`: what is learned from logs, reference ads and rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import (
    DATA_DIR,
    Base,
    Cache,
    Change,
    Config,
    DataDir,
    HeldOut,
    Prompts,
    Snapshot,
    Start,
    Threads,
    call,
    embeddings,
    reward_model_folder,
)

commands = typer.Typer(
    no_args_is_help=True,
    help="Train a reward model, a judge or a policy. Needs the \\[train] extra: pip install '.\\[train]'.",
)


@commands.command()
def reward(
    snapshot: Snapshot,
    config: Config = None,
    change: Change = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where versions are kept. Default: artifacts/reward-models in the data directory."),
    ] = None,
    data_dir: DataDir = DATA_DIR,
    cache: Cache = None,
    threads: Threads = 1,
) -> None:
    """Train a reward model: it predicts the CTCVR (click-through conversion rate) of an ad text, with its uncertainty.

    Prints the folder of the new version. After an interruption, the same command resumes from its last checkpoint.

    Example: relate train reward --snapshot logs/monday --config trainer/configs/reward_cpu.yaml --set epochs=10
    """
    call(
        "trainer.commands.reward:train",
        snapshot=snapshot,
        config_file=config,
        changes=change or [],
        out=out or data_dir / "artifacts" / "reward-models",
        cache=embeddings(cache, data_dir),
        threads=threads,
    )


@commands.command()
def judge(
    out: Annotated[Path, typer.Option(help="The judge's folder.")],
    config: Config = None,
    change: Change = None,
) -> None:
    """Train a judge: it decides whether an English text is true to its brief and well written.

    It learns from labelled texts of policies, from reference ads and from corruptions of these.

    Example: relate train judge --config trainer/configs/judge.yaml --out judges/monday
    """
    call("trainer.commands.judge:train", config_file=config, changes=change or [], out=out)


@commands.command()
def sft(
    out: Annotated[
        Path,
        typer.Option(help="The policy's folder: an adapter, or a whole model if the config sets lora to null."),
    ],
    policy: Start = None,
    base: Base = None,
    config: Config = None,
    change: Change = None,
    prompts: Prompts = None,
    data_dir: DataDir = DATA_DIR,
    threads: Threads = 1,
) -> None:
    """Fine-tune a policy on the reference ads (SFT, supervised fine-tuning). GRPO starts from the result.

    After an interruption, the same command resumes from its last checkpoint.

    Example: relate train sft --config trainer/configs/sft_cpu.yaml --out policies/sft
    """
    call(
        "trainer.commands.sft:run",
        policy=policy,
        base=base,
        config_file=config,
        changes=change or [],
        prompts_file=prompts,
        out=out,
        data_dir=data_dir,
        threads=threads,
    )


@commands.command()
def grpo(
    out: Annotated[
        Path, typer.Option(help="The run's folder: curves, samples, checkpoints and, at the end, the policy.")
    ],
    policy: Start = None,
    base: Base = None,
    reward_model: Annotated[
        Path | None,
        typer.Option(
            metavar="VERSION|FOLDER", help="A reward model, for the reward term ctcvr.", callback=reward_model_folder
        ),
    ] = None,
    held_out_reward_model: HeldOut = None,
    config: Config = None,
    change: Change = None,
    prompts: Prompts = None,
    data_dir: DataDir = DATA_DIR,
    cache: Cache = None,
    threads: Threads = 1,
) -> None:
    """Train a policy on rewards with token-level credit (GRPO, group relative policy optimisation).

    Prints a memory estimate before training starts, and the folder of the best checkpoint's policy at the end.

    After an interruption, the same command resumes from its last checkpoint.

    Example: relate train grpo --config trainer/configs/grpo_cpu.yaml --policy policies/sft --reward-model V
    --held-out-reward-model W --out runs/relate
    """
    call(
        "trainer.commands.grpo:run",
        policy=policy,
        base=base,
        reward_model=reward_model,
        held_out_reward_model=held_out_reward_model,
        config_file=config,
        changes=change or [],
        prompts_file=prompts,
        out=out,
        data_dir=data_dir,
        cache=embeddings(cache, data_dir),
        threads=threads,
    )


@commands.command()
def dpo(
    policy: Annotated[
        str,
        typer.Option(help="A fine-tuned policy: pairs are made of its own texts, and it is the reference model."),
    ],
    reward_model: Annotated[
        Path,
        typer.Option(
            metavar="VERSION|FOLDER",
            help="A reward model: it says which text of a pair is better.",
            callback=reward_model_folder,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where the samples and the policy are written.")],
    base: Base = None,
    config: Config = None,
    change: Change = None,
    prompts: Prompts = None,
    data_dir: DataDir = DATA_DIR,
    cache: Cache = None,
    threads: Threads = 1,
) -> None:
    """Train a fine-tuned policy on pairs of its own texts (DPO, direct preference optimisation): a baseline.

    Example: relate train dpo --policy policies/sft --reward-model V --config trainer/configs/dpo_cpu.yaml
    --out policies/dpo
    """
    call(
        "trainer.commands.dpo:run",
        policy=policy,
        base=base,
        reward_model=reward_model,
        config_file=config,
        changes=change or [],
        prompts_file=prompts,
        out=out,
        cache=embeddings(cache, data_dir),
        threads=threads,
    )
