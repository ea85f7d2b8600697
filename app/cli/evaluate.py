"""`relate evaluate`: how good a trained model is, on what it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.train import Change, Prompts, Snapshot, Threads, cache, run_trainer

evaluate = typer.Typer(
    no_args_is_help=True, help="Evaluate trained models on what they have not seen. Needs the [train] extra."
)


@evaluate.callback()
def group() -> None:
    """Evaluate trained models on what they have not seen. Needs the [train] extra."""


@evaluate.command()
def reward(
    model: Annotated[Path, typer.Option(help="A version's folder.", exists=True, file_okay=False)],
    snapshot: Snapshot,
    report: Annotated[Path, typer.Option(help="The page to write.")] = Path("reward.html"),
    threads: Threads = 1,
) -> None:
    """Measure a reward model on advertisers that its training and tuning never saw; write a page with table and
    calibration plot.
    """
    run_trainer(
        "evaluate-reward",
        f"--model={model}",
        f"--snapshot={snapshot}",
        f"--report={report}",
        f"--cache={cache()}",
        f"--threads={threads}",
    )


@evaluate.command()
def policy(
    entrant: Annotated[
        list[str],
        typer.Option(
            "--policy",
            help="NAME=FOLDER, or nlg for templates; @2 behind it asks with two worked examples. The first is the "
            "baseline.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="A folder for samples, numbers and the page; samples in it are not drawn again.")
    ],
    split: Annotated[
        list[str] | None, typer.Option(help="held_out (default), new_industry or train. May be repeated.")
    ] = None,
    reward_model: Annotated[
        Path | None, typer.Option(help="The version that policies are trained on.", exists=True)
    ] = None,
    held_out_reward_model: Annotated[
        Path | None, typer.Option(help="The held-out version, which no policy was trained on.", exists=True)
    ] = None,
    logged: Annotated[
        Path | None, typer.Option(help="A snapshot: nlg then begins with the best logged texts.", exists=True)
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="An adapter's base, where it is not the one that the adapter names.")
    ] = None,
    prompts: Prompts = None,
    language: Annotated[str, typer.Option(help="Of the prompts: en, zh or ja.")] = "en",
    limit: Annotated[int | None, typer.Option(help="Prompts a split, evenly spread; default all.", min=1)] = None,
    samples: Annotated[int, typer.Option(help="Texts a prompt.", min=1)] = 5,
    pairs: Annotated[
        int | None, typer.Option(help="Also write so many blind pairs of the two policies, and their key apart.", min=1)
    ] = None,
    threads: Threads = 1,
) -> None:
    """Compare policies on advertisers they never saw: raw samples, every measure with its interval, paired
    differences, a page.

    Example: relate evaluate policy --policy sft=policies/sft --policy relate=policies/relate --policy nlg --out
    evaluation
    """
    flags = {
        "base": base,
        "out": out,
        "reward-model": reward_model,
        "held-out-reward-model": held_out_reward_model,
        "logged": logged,
        "prompts": prompts,
        "language": language,
        "limit": limit,
        "samples": samples,
        "pairs": pairs,
        "cache": cache(),
        "threads": threads,
    }
    options = [f"--policy={one}" for one in entrant] + [f"--split={one}" for one in split or []]
    run_trainer(
        "evaluate-policy", *options, *(f"--{name}={value}" for name, value in flags.items() if value is not None)
    )


@evaluate.command()
def training(
    run: Annotated[Path, typer.Option(help="The folder of a GRPO run, finished or not.", exists=True, file_okay=False)],
    report: Annotated[Path, typer.Option(help="The page to write.")] = Path("training.html"),
) -> None:
    """Write a run's page: every reward's curve, the vital signs, and sampled texts with the tokens that were
    charged.
    """
    run_trainer("training-report", f"--run={run}", f"--report={report}")


def ablate(
    policy: Annotated[str, typer.Option(help="Where all configurations start: a fine-tuned policy's folder.")],
    reward_model: Annotated[Path, typer.Option(help="A version's folder, for the ctcvr reward.", exists=True)],
    out: Annotated[
        Path, typer.Option(help="A folder for runs, samples and ablation.html; what is there already is kept.")
    ],
    held_out_reward_model: Annotated[
        Path | None, typer.Option(help="The held-out reward model: only watched.", exists=True)
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="An adapter's base, where it is not the one that the adapter names.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML, such as trainer/configs/ablate_small.yaml; default: the defaults.")
    ] = None,
    change: Change = None,
    prompts: Prompts = None,
    threads: Threads = 1,
) -> None:
    """Train table 2's five reward configurations with several seeds and compare them: table 3 with intervals, figure
    3, what holds.

    Example: relate ablate --policy small/policy --reward-model V --config trainer/configs/ablate_small.yaml --out
    ablation
    """
    given = {
        "config": config,
        "prompts": prompts,
        "base": base,
        "reward-model": reward_model,
        "held-out-reward-model": held_out_reward_model,
        "out": out,
        "cache": cache(),
    }
    options = [f"--set={one}" for one in change or []]
    options += [f"--{name}={value}" for name, value in given.items() if value]
    run_trainer("ablate", f"--policy={policy}", f"--threads={threads}", *options)
