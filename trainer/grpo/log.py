"""The run folder: config.json, curves.jsonl (one object a step), samples.jsonl (texts with what each token was
charged), checkpoints/.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.config import ConfigError, GrpoConfig
from trainer.rewards.base import Sample


class RunLog:
    """Appends a step's records. A resumed run first drops those of steps it is about to take again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.curves, self.samples = folder / "curves.jsonl", folder / "samples.jsonl"

    def begin(self, config: GrpoConfig, inputs: Mapping[str, str], *, step: int) -> None:
        """Start or take up a run at `step`. ConfigError where the folder holds a run of another config or other
        inputs.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        mine = {"config": config.model_dump(mode="json"), "inputs": dict(inputs)}
        path = self.folder / "config.json"
        if path.exists() and step > 0:
            theirs = json.loads(path.read_text(encoding="utf-8"))
            if changed := sorted(_differences(theirs, mine)):
                raise ConfigError(
                    f"{self.folder} holds a run with other {', '.join(changed)}: give these again, or name a new folder"
                )
        path.write_text(json.dumps(mine, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        for file in (self.curves, self.samples):
            kept = [line for line in _lines(file) if json.loads(line)["step"] < step]
            file.write_text("".join(kept), encoding="utf-8")

    def step(self, curve: Mapping[str, Any], samples: Iterable[Mapping[str, Any]]) -> None:
        """Append one step."""
        with self.curves.open("a", encoding="utf-8") as file:
            file.write(json.dumps(curve) + "\n")
        with self.samples.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples)

    def read_curves(self) -> list[dict[str, Any]]:
        """Every step so far."""
        return [json.loads(line) for line in _lines(self.curves)]


def sample_record(
    step: int,
    sample: Sample,
    tokens: Sequence[str],
    charges: Sequence[float],
    scores: Mapping[str, float],
    advantage: float,
) -> dict[str, Any]:
    """One text as samples.jsonl keeps it. tokens: the strings of the sampled ids; charges: r_t of each, ≤ 0 (RELATE
    eq. 5).
    """
    brief = sample.prompt.brief
    return {
        "step": step,
        "advertiser": brief.ad.advertiser,
        "query": brief.query,
        "text": sample.completion,
        "tokens": list(tokens),
        "charges": [round(charge, 4) for charge in charges],
        "scores": {name: round(score, 4) for name, score in scores.items()},
        "advantage": round(advantage, 4),
        "findings": [finding.rule for finding in sample.findings],
    }


def _lines(file: Path) -> list[str]:
    """Whole lines: a killed run may have left half of one."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8") as lines:
        return [line for line in lines if line.endswith("\n")]


def _differences(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> set[str]:
    """Names of settings and inputs that changed. More steps, checkpoints and logs are the same run."""
    free = {"steps", "checkpoint_every", "trackers"}
    changed = set()
    for part in ("config", "inputs"):
        old, new = theirs.get(part, {}), mine[part]
        changed |= {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} - free
    return changed
