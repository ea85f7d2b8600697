"""Two files of the run folder: curves.jsonl (one object per step) and samples.jsonl (texts with the charge of each
token).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.durable import whole_lines, write_text
from trainer.rewards.base import Sample


class RunLog:
    """Appends a step's records. A resumed run first drops the records of the steps that it repeats."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.curves, self.samples = folder / "curves.jsonl", folder / "samples.jsonl"

    def begin(self, *, step: int) -> None:
        """Start or resume a run at `step`: records of that step and later ones are dropped."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in (self.curves, self.samples):
            write_text(file, "".join(line for line in whole_lines(file) if json.loads(line)["step"] < step))

    def step(self, curve: Mapping[str, Any], samples: Iterable[Mapping[str, Any]]) -> None:
        """Append one step."""
        with self.curves.open("a", encoding="utf-8") as file:
            file.write(json.dumps(curve) + "\n")
        with self.samples.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples)


def sample_record(
    step: int,
    sample: Sample,
    tokens: Sequence[str],
    charges: Sequence[float],
    scores: Mapping[str, float],
    advantage: float,
) -> dict[str, Any]:
    """One text as a record of samples.jsonl. tokens: the strings of the sampled ids; charges: r_t of each, ≤ 0 (RELATE
    eq. 5).
    """
    brief = sample.prompt.brief
    return {
        "step": step,
        "advertiser": brief.ad.advertiser,
        "query": brief.query,
        "text": sample.completion,
        "cut": sample.cut,
        "tokens": list(tokens),
        "charges": [round(charge, 4) for charge in charges],
        "scores": {name: round(score, 4) for name, score in scores.items()},
        "advantage": round(advantage, 4),
        "findings": [finding.rule for finding in sample.findings],
    }
