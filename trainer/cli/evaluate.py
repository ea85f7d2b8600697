"""`relate evaluate` and `relate ablate`: how good a trained model is, on data that it has not seen."""

from __future__ import annotations

from enum import StrEnum
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
    Threads,
    call,
    embeddings,
    reward_model_folder,
)

commands = typer.Typer(
    no_args_is_help=True,
    help="Evaluate trained models on data they have not seen. Needs the \\[train] extra: pip install '.\\[train]'.",
)


GATE_FAILED = 3  # exit status of a gate that decided against the challenger


class Split(StrEnum):
    """Which prompts: `trainer.prompts.DataSplit`."""

    TRAIN = "train"
    VALIDATION = "validation"
    HELD_OUT = "held_out"
    NEW_INDUSTRY = "new_industry"


RewardModel = Annotated[
    Path | None,
    typer.Option(
        "--reward-model",
        metavar="VERSION|FOLDER",
        help="The reward model that policies are trained on.",
        callback=reward_model_folder,
    ),
]

Entrants = Annotated[
    list[str],
    typer.Option(
        "--policy",
        metavar="NAME=FOLDER[@EXAMPLES]",
        help="A policy to compare, or nlg for templates; @2 asks with two worked examples. May be repeated: the first "
        "is the baseline.",
    ),
]
ComparisonFolder = Annotated[
    Path,
    typer.Option(help="A folder for samples, numbers and the page. Samples that are in it are not drawn again."),
]
Splits = Annotated[list[Split] | None, typer.Option(help="Which prompts. Default: held_out. May be repeated.")]
Logged = Annotated[
    Path | None, typer.Option(help="A snapshot: nlg then starts with the best logged texts.", exists=True)
]
Encoder = Annotated[
    str, typer.Option(help="Encoder that relevance is measured with: minilm or a sentence-transformers name.")
]
Pairs = Annotated[
    int | None, typer.Option(help="Also write this many blind pairs of two policies, and their key.", min=1)
]


@commands.command()
def reward(
    model: Annotated[
        Path, typer.Option(metavar="VERSION|FOLDER", help="A reward model.", callback=reward_model_folder)
    ],
    snapshot: Snapshot,
    report: Annotated[Path, typer.Option(help="The HTML page to write.")] = Path("reward.html"),
    data_dir: DataDir = DATA_DIR,
    cache: Cache = None,
    threads: Threads = 1,
) -> None:
    """Measure a reward model on advertisers that its training never saw; write a page with a calibration plot.

    Example: relate evaluate reward --model V --snapshot logs/monday --report reward.html
    """
    call(
        "trainer.commands.reward:evaluate",
        model=model,
        snapshot=snapshot,
        report=report,
        cache=embeddings(cache, data_dir),
        threads=threads,
    )


@commands.command()
def judge(
    model: Annotated[Path, typer.Option(help="A judge's folder.", exists=True, file_okay=False)],
    second: Annotated[
        Path | None, typer.Option(help="The second judge's folder, reported beside it.", exists=True, file_okay=False)
    ] = None,
    report: Annotated[Path, typer.Option(help="The HTML page to write.")] = Path("judge.html"),
) -> None:
    """Measure a judge on labelled advertisers that it never learned from: what passes its serving threshold, curves.

    Example: relate evaluate judge --model judges/monday --report judge.html
    """
    call("trainer.commands.judge:evaluate", model=model, second=second, report=report)


@commands.command()
def policy(
    policies: Entrants,
    out: ComparisonFolder,
    split: Splits = None,
    reward_model: RewardModel = None,
    held_out_reward_model: HeldOut = None,
    logged: Logged = None,
    base: Base = None,
    prompts: Prompts = None,
    language: Annotated[str, typer.Option(help="Language of the prompts: en, zh or ja.")] = "en",
    limit: Annotated[int | None, typer.Option(help="Prompts per split, evenly spread. Default: all.", min=1)] = None,
    samples: Annotated[int, typer.Option(help="Texts per prompt.", min=1)] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.")] = 0,
    max_completion: Annotated[int, typer.Option(help="Tokens per text at most.", min=1)] = 96,
    encoder: Encoder = "minilm",
    pairs: Pairs = None,
    data_dir: DataDir = DATA_DIR,
    cache: Cache = None,
    threads: Threads = 1,
) -> None:
    """Compare policies on advertisers they never saw: raw samples, measures with intervals, paired differences, a page.

    Example: relate evaluate policy --policy sft=policies/sft --policy relate=runs/relate/policy --policy nlg
    --out evaluation
    """
    call(
        "trainer.commands.evaluate:run",
        policies=policies,
        out=out,
        splits=[chosen.value for chosen in split or [Split.HELD_OUT]],
        reward_model=reward_model,
        held_out_reward_model=held_out_reward_model,
        logged=logged,
        base=base,
        prompts_file=prompts,
        language=language,
        limit=limit,
        samples=samples,
        seed=seed,
        max_completion=max_completion,
        encoder=encoder,
        pairs=pairs,
        cache=embeddings(cache, data_dir),
        threads=threads,
    )


@commands.command()
def gate(
    champion: Annotated[str, typer.Option(metavar="NAME=FOLDER[@EXAMPLES]", help="The policy that serves now.")],
    challenger: Annotated[
        str,
        typer.Option(metavar="NAME=FOLDER[@EXAMPLES]", help="The policy that wants traffic; name it by its version."),
    ],
    out: Annotated[
        Path, typer.Option(help="A folder for samples, gate.json and gate.html. Samples in it are not drawn again.")
    ],
    reward_model: RewardModel = None,
    held_out_reward_model: HeldOut = None,
    config: Config = None,
    change: Change = None,
    base: Base = None,
    prompts: Prompts = None,
    data_dir: DataDir = DATA_DIR,
    cache: Cache = None,
    threads: Threads = 1,
) -> None:
    """Decide whether a challenger may take traffic: no worse than the champion in quality, better in predicted CTCVR.

    Exit status: 0 pass, 3 fail, 1 no decision. `relate policies gate` stores the report with the policy.

    Example: relate evaluate gate --champion relate-1=policies/1 --challenger relate-2=runs/2/policy --reward-model V
    --held-out-reward-model W --out gate
    """
    report = call(
        "trainer.commands.gate:run",
        champion=champion,
        challenger=challenger,
        out=out,
        config_file=config,
        changes=change or [],
        reward_model=reward_model,
        held_out_reward_model=held_out_reward_model,
        base=base,
        prompts_file=prompts,
        cache=embeddings(cache, data_dir),
        threads=threads,
    )
    if not report.passed:
        raise typer.Exit(GATE_FAILED)


@commands.command()
def training(
    run: Annotated[Path, typer.Option(help="The folder of a GRPO run, finished or not.", exists=True, file_okay=False)],
    report: Annotated[Path, typer.Option(help="The HTML page to write.")] = Path("training.html"),
) -> None:
    """Write the page of a GRPO run: curves of every reward, KL, lengths, and sampled texts with their charged tokens.

    Example: relate evaluate training --run runs/relate --report training.html
    """
    call("trainer.commands.ablate:report", run=run, report=report)


def ablate(
    policy: Annotated[str, typer.Option(help="The policy that every configuration starts from: a folder.")],
    reward_model: Annotated[
        Path,
        typer.Option(
            metavar="VERSION|FOLDER", help="A reward model, for the reward term ctcvr.", callback=reward_model_folder
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="A folder for runs, samples and ablation.html. Runs that are in it are kept.")
    ],
    held_out_reward_model: HeldOut = None,
    base: Base = None,
    config: Config = None,
    change: Change = None,
    prompts: Prompts = None,
    data_dir: DataDir = DATA_DIR,
    cache: Cache = None,
    threads: Threads = 1,
) -> None:
    """Train five reward configurations with several seeds and compare them (RELATE table 2, table 3 and figure 3).

    Needs the \\[train] extra. After an interruption, the same command resumes.

    Example: relate ablate --policy small/policy --reward-model V --config trainer/configs/ablate_small.yaml
    --out ablation
    """
    call(
        "trainer.commands.ablate:run",
        policy=policy,
        base=base,
        reward_model=reward_model,
        held_out_reward_model=held_out_reward_model,
        config_file=config,
        changes=change or [],
        prompts_file=prompts,
        out=out,
        cache=embeddings(cache, data_dir),
        threads=threads,
    )
