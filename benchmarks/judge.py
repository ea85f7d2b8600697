"""What the packaged judge and the second judge let through, on labelled advertisers that neither learned from.

    python -m benchmarks.judge

Writes benchmarks/results/judge.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from time import process_time

from rich.console import Console

from benchmarks.record import destination, record
from trainer.judge.evaluate import evaluate
from trainer.judge.labels import Label, agreement, load_labels
from trainer.judge.report import summary, write_report
from trainer.scoring.judge import PACKAGED, PackagedJudge

SECOND = PACKAGED.with_name("second-judge-2")
BATCH = 4


def cpu_ms(judge: PackagedJudge, labels: list[Label]) -> float:
    """Median CPU time per text, in batches of four texts of one brief, as the service asks."""
    pairs = [[(label.brief, label.text)] * BATCH for label in labels]
    times = []
    for batch in pairs:
        started = process_time()
        judge.score(batch)
        times.append(1000 * (process_time() - started) / BATCH)
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=__doc__)
    parser.add_argument("--out", type=Path, help="results file (default benchmarks/results/judge.json)")
    parser.add_argument("--report", type=Path, help="also write the HTML page here")
    given = parser.parse_args()
    destination("judge", given.out)
    judges = {"judge": PackagedJudge.load(PACKAGED), "second judge": PackagedJudge.load(SECOND)}
    found = {name: evaluate(judge, lambda *_: None) for name, judge in judges.items()}
    labels = load_labels()
    twice, equal, kappa = agreement(labels)
    console = Console(width=120)
    console.print(*summary(found), sep="\n")
    figures = {name: judge.figures() for name, judge in found.items()}
    figures["judge"]["cpu_ms_per_text_in_batches_of_4"] = round(cpu_ms(judges["judge"], labels[:100]), 2)
    figures["labels"] = {
        "texts": len(labels),
        "by_part": {part: sum(label.part == part for label in labels) for part in ("judge", "second_judge", "test")},
        "read_twice": twice,
        "equal_verdicts": round(equal, 4) if twice else None,
        "kappa_of_good": round(kappa, 4) if twice else None,
    }
    if given.report:
        print(write_report(found, given.report))
    print(record("judge", figures, ("numpy", "scikit-learn"), given.out))


if __name__ == "__main__":
    main()
