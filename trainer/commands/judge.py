"""Training and measuring a judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from trainer.config import JudgeConfig, load_config

if TYPE_CHECKING:
    from rich.console import Console

    from trainer.judge.examples import Watch


def train(*, config_file: Path | None, changes: Sequence[str], out: Path) -> None:
    """Train, and print the version, its thresholds and the folder."""
    config = load_config(JudgeConfig, config_file, changes)
    from rich.console import Console

    from trainer.judge.train import train_judge

    console, started = Console(), perf_counter()
    with _progress(console) as watch:
        judge = train_judge(config, watch)
    judge.save(out, config=config.model_dump())
    limits = judge.thresholds
    console.print(f"{judge.version}: serve from {limits.serve:.3f}, review from {limits.review:.3f}")
    console.print(f"trained in {perf_counter() - started:.0f} s")
    print(out)


def evaluate(*, model: Path, second: Path | None, report: Path) -> None:
    """Measure on labelled advertisers that no judge learned from, and print the page's path."""
    from rich.console import Console

    from trainer.judge.evaluate import evaluate as measure
    from trainer.judge.report import summary, write_report
    from trainer.scoring.judge import PackagedJudge

    console = Console()
    judges = {"judge": PackagedJudge.load(model)}
    if second is not None:
        judges["second judge"] = PackagedJudge.load(second)
    with _progress(console) as watch:
        found = {name: measure(judge, watch) for name, judge in judges.items()}
    console.print(*summary(found), sep="\n")
    print(write_report(found, report))


@contextmanager
def _progress(console: Console) -> Iterator[Watch]:
    from rich.progress import Progress

    with Progress(console=console) as progress:
        bar = progress.add_task("reading labels", total=1)
        yield lambda what, done, total: progress.update(bar, description=what, completed=done, total=total)
