"""`relate train`: the trainer in a process of its own, so that nothing heavy is loaded here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

train = typer.Typer(no_args_is_help=True, help="Train models on what was logged. Needs the [train] extra.")

Snapshot = Annotated[Path, typer.Option(help="A folder that `relate export` wrote.", exists=True, file_okay=False)]
Policy = Annotated[
    str | None, typer.Option(help="Where to start: a folder or a Hugging Face name; default the packaged model.")
]
Prompts = Annotated[
    Path | None,
    typer.Option(help="Advertisers: a JSON Lines file or a folder; default the packaged ones.", exists=True),
]
Change = Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE, over the file. May be repeated.")]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1)]


@train.callback()
def group() -> None:
    """Train models on what was logged. Needs the [train] extra."""


@train.command()
def reward(
    snapshot: Snapshot,
    config: Annotated[
        Path | None, typer.Option(help="YAML, such as trainer/configs/reward_cpu.yaml; default: the defaults.")
    ] = None,
    change: Change = None,
    out: Annotated[
        Path | None, typer.Option(help="Where versions are kept; default RELATE_DATA_DIR/artifacts/reward-models.")
    ] = None,
    threads: Threads = 1,
) -> None:
    """Train the reward model: predicted CTCVR with its uncertainty. Run again after an interruption, it goes on where
    it stopped.

    Example: relate train reward --snapshot logs/monday --config trainer/configs/reward_cpu.yaml --set epochs=10
    """
    options = [f"--config={config}"] if config else []
    options += [f"--set={one}" for one in change or []]
    run_trainer(
        "train-reward",
        f"--snapshot={snapshot}",
        f"--out={out or versions()}",
        f"--cache={cache()}",
        f"--threads={threads}",
        *options,
    )


@train.command()
def sft(
    out: Annotated[
        Path,
        typer.Option(
            help="Where the policy goes: an adapter's folder, or a whole model's when the config has no lora."
        ),
    ],
    policy: Policy = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML, such as trainer/configs/sft_cpu.yaml; default: the defaults.")
    ] = None,
    change: Change = None,
    prompts: Prompts = None,
    threads: Threads = 1,
) -> None:
    """Fine-tune a policy on the reference ads: where GRPO starts. Run again after an interruption, it goes on from its
    last checkpoint.

    Example: relate train sft --config trainer/configs/sft_cpu.yaml --out policies/sft
    """
    options = [f"--set={one}" for one in change or []]
    options += [f"--{name}={value}" for name, value in (("config", config), ("prompts", prompts)) if value]
    run_trainer("sft", f"--policy={policy or base_model()}", f"--out={out}", f"--threads={threads}", *options)


@train.command()
def grpo(
    out: Annotated[Path, typer.Option(help="The run's folder: curves, samples, checkpoints and, at the end, policy/.")],
    policy: Policy = None,
    base: Annotated[
        Path | None, typer.Option(help="An adapter's base, where it is not the one that the adapter names.")
    ] = None,
    reward_model: Annotated[Path | None, typer.Option(help="A version's folder, for the ctcvr reward.")] = None,
    held_out_reward_model: Annotated[
        Path | None, typer.Option(help="A held-out reward model: only watched, to see the reward being hacked.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML, such as trainer/configs/grpo_cpu.yaml; default: the defaults.")
    ] = None,
    change: Change = None,
    prompts: Prompts = None,
    threads: Threads = 1,
) -> None:
    """Train a policy by reinforcement: rewards, token-level credit, GRPO. Run again, it goes on from its last
    checkpoint.

    Example: relate train grpo --config trainer/configs/grpo_cpu.yaml --policy policies/sft --reward-model V
    --held-out-reward-model W --out runs/relate
    """
    options = [f"--set={one}" for one in change or []]
    given = {
        "config": config,
        "prompts": prompts,
        "base": base,
        "reward-model": reward_model,
        "held-out-reward-model": held_out_reward_model,
    }
    options += [f"--{name}={value}" for name, value in given.items() if value]
    run_trainer(
        "grpo",
        f"--policy={policy or base_model()}",
        f"--out={out}",
        f"--cache={cache()}",
        f"--threads={threads}",
        *options,
    )


@train.command()
def dpo(
    policy: Annotated[
        str, typer.Option(help="A fine-tuned policy: its own texts become the pairs, and it is the reference.")
    ],
    reward_model: Annotated[
        Path, typer.Option(help="A version's folder: says which text of a pair is better.", exists=True)
    ],
    out: Annotated[Path, typer.Option(help="Where the samples and the policy go.")],
    base: Annotated[
        Path | None, typer.Option(help="An adapter's base, where it is not the one that the adapter names.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML, such as trainer/configs/dpo_cpu.yaml; default: the defaults.")
    ] = None,
    change: Change = None,
    prompts: Prompts = None,
    threads: Threads = 1,
) -> None:
    """Align a fine-tuned policy with pairs of its own texts, the two-stage way: a baseline.

    Example: relate train dpo --policy policies/sft --reward-model V --config trainer/configs/dpo_cpu.yaml --out
    policies/dpo
    """
    options = [f"--set={one}" for one in change or []]
    given = {
        "config": config,
        "prompts": prompts,
        "base": base,
        "reward-model": reward_model,
        "out": out,
        "cache": cache(),
    }
    options += [f"--{name}={value}" for name, value in given.items() if value]
    run_trainer("dpo", f"--policy={policy}", f"--threads={threads}", *options)


def versions() -> Path:
    """Where trained reward models are kept."""
    from app.core.settings import Settings

    return Settings().data_dir / "artifacts" / "reward-models"


def base_model() -> Path:
    """The packaged model's folder; prepared here when it is not there."""
    from app.core.settings import Settings
    from app.up.model import base

    target = base(Settings().data_dir)
    if not target.exists():
        subprocess.run([sys.executable, "-m", "trainer.packaged_model", str(target)], check=True)
    return target


def cache() -> Path:
    """Where embeddings are kept."""
    from app.core.settings import Settings

    return Settings().data_dir / "cache" / "embeddings"


def run_trainer(*arguments: str) -> None:
    """`python -m trainer …` with this terminal; its exit status becomes ours. Ctrl-C reaches it as well."""
    child = subprocess.Popen([sys.executable, "-m", "trainer", *arguments])
    try:
        status = child.wait()
    except KeyboardInterrupt:
        status = child.wait()
    raise typer.Exit(status)
