"""Table 2's five configurations trained alike, compared as in table 3 and figure 3 (RELATE §4.4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np

from trainer.bootstrap import Interval
from trainer.checkpoint import newest
from trainer.config import AblateConfig, GrpoConfig, load_config
from trainer.evaluation.compare import PolicyComparison, compare, verdict
from trainer.evaluation.curves import figure_3, read_lines
from trainer.evaluation.metrics import MEASURES, Measured, measure
from trainer.evaluation.report import interval_text, means_table, value_text
from trainer.evaluation.run import Yardsticks
from trainer.evaluation.sampling import Entrant, Sampling, sample
from trainer.grpo.setup import Inputs, identity
from trainer.grpo.train import train_grpo
from trainer.page import Html, heading, paragraph, plot, table, write_page
from trainer.prompts import Prompt, evenly, load_prompts

CONFIGURATIONS = ("model1", "model2", "model3", "model4", "relate")
START = "start"
_COLUMNS = ("structure", "ctcvr", "diversity", "semantics")  # the columns of table 3
CONFIGS = Path(__file__).parents[1] / "configs"


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of §4.4.2 as a difference of two configurations."""

    words: str
    treatment: str
    control: str
    measure: str
    direction: str  # up or down

    def verdict(self, difference: Interval) -> str:
        """holds, not resolved, or fails: by the paired interval alone."""
        moved = verdict(difference)
        return moved if moved == "not resolved" else "holds" if moved == self.direction else "fails"


CLAIMS = (
    Claim("Model 2 gains CTCVR over Model 1", "model2", "model1", "ctcvr", "up"),
    Claim("Model 2 loses diversity", "model2", "model1", "diversity", "down"),
    Claim("Model 3 repairs diversity", "model3", "model2", "diversity", "up"),
    Claim("Model 4 gains semantic quality", "model4", "model3", "semantics", "up"),
    *(Claim(f"RELATE is above Model 4 in {MEASURES[name].label}", "relate", "model4", name, "up") for name in _COLUMNS),
)


def ablate(
    config: AblateConfig,
    inputs: Inputs,
    sticks: Yardsticks,
    out: Path,
    *,
    watch: Callable[[str], object] = lambda line: None,
) -> Path:
    """Train every configuration with every seed, sample their last weights on held-out advertisers, write
    out/ablation.html and .json.

    Runs and samples that are there already are kept: a killed ablation resumes. Training and evaluation share
    prompts, reward model and start; only the reward's terms, weights and granularity differ.
    """
    settings = {
        name: load_config(GrpoConfig, CONFIGS / f"grpo_{name}.yaml", config.settings) for name in CONFIGURATIONS
    }
    training = evenly(load_prompts(sticks.prompts, language=sticks.language, split="train"), config.queries)
    held_out = evenly(load_prompts(sticks.prompts, language=sticks.language, split="held_out"), config.held_out)
    for name, seed in product(CONFIGURATIONS, config.seeds):
        watch(f"{name}, seed {seed}")
        _train(settings[name].with_changes(seed=seed), inputs, training, out / name / f"seed{seed}")
    judged = Judged(sticks, held_out, Sampling(config.samples, 0, settings["relate"].max_completion), inputs.base, out)
    measured = {START: judged.of(START, [Path(inputs.policy)])}
    for name in CONFIGURATIONS:
        measured[name] = judged.of(name, [_last(out / name / f"seed{seed}") for seed in config.seeds])
    return write_ablation(measured, [out / name for name in CONFIGURATIONS], config.seeds, out / "ablation.html")


@dataclass(frozen=True)
class Judged:
    """Samples and measures of policies on the same prompts."""

    sticks: Yardsticks
    prompts: Sequence[Prompt]
    sampling: Sampling
    base: str | None
    out: Path

    def of(self, name: str, policies: Sequence[Path]) -> Measured:
        """The samples of all seeds of a configuration as one."""
        each = []
        for number, policy in enumerate(policies):
            file = self.out / "samples" / f"{name}_{number}.jsonl"
            samples = sample(
                Entrant(name, str(policy)),
                self.prompts,
                self.sampling,
                file,
                self.sticks.rules,
                nlg=self.sticks.nlg,
                base=self.base,
            )
            each.append(measure(name, samples, self.sticks.relevance, self.sticks.models, self.sticks.judges))
        values = {column: np.concatenate([run.values[column] for run in each]) for column in each[0].values}
        return Measured(name, [sample for run in each for sample in run.samples], values)


def _train(config: GrpoConfig, inputs: Inputs, prompts: Sequence[Prompt], run: Path) -> None:
    if (run / "outcome.json").exists():
        identity(config, inputs, prompts).claim(run)
    else:
        train_grpo(config, inputs, prompts, run)


def _last(run: Path) -> Path:
    """The weights after the last step: table 3 compares at one step, not at each run's best."""
    folder = newest(run / "checkpoints")
    if folder is None:
        raise ValueError(f"{run} holds no checkpoint: remove the folder and start again")
    return folder / "policy"


def write_ablation(measured: Mapping[str, Measured], runs: Sequence[Path], seeds: Sequence[int], path: Path) -> Path:
    """Table 3 with intervals, what of §4.4.2 holds, and figure 3; the numbers beside the page, as JSON."""
    comparison, judged = compare(list(measured.values())), judged_claims(measured)
    claims = [
        {"claim": claim.words, "difference": asdict(found), "verdict": claim.verdict(found)} for claim, found in judged
    ]
    path.with_suffix(".json").write_text(
        json.dumps({"claims": claims, **asdict(comparison)}, indent=1) + "\n", encoding="utf-8"
    )
    curves = {run.name: [read_lines(run / f"seed{seed}" / "curves.jsonl") for seed in seeds] for run in runs}
    steps = len(next(iter(curves.values()))[0])
    about = (
        f"Five configurations from one start, {steps} steps, seeds {', '.join(map(str, seeds))}; raw samples of the "
        "last step for "
        f"{comparison.advertisers} held-out advertisers. Intervals are of a bootstrap over advertisers; the seeds of "
        "a configuration are "
        "pooled, so that they say nothing about other seeds."
    )
    return write_page(
        path,
        "Ablation of rewards and granularity",
        [
            paragraph(about),
            heading("Table 3"),
            means_table(comparison),
            heading("What holds"),
            claims_table(judged),
            heading("Figure 3"),
            plot(figure_3(curves)),
            heading("Seeds"),
            _seeds_table(comparison, measured, len(seeds)),
        ],
    )


def judged_claims(measured: Mapping[str, Measured]) -> list[tuple[Claim, Interval]]:
    """Every claim about a measure that there is, with its paired difference."""
    pairs = [(claim, compare([measured[claim.control], measured[claim.treatment]])) for claim in CLAIMS]
    return [(claim, pair.differences[claim.measure][1]) for claim, pair in pairs if claim.measure in pair.differences]


def claims_table(judged: Sequence[tuple[Claim, Interval]]) -> Html:
    rows = []
    for claim, difference in judged:
        kind = MEASURES[claim.measure]
        rows.append([claim.words, interval_text(kind, difference), claim.verdict(difference)])
    return table(["claim", "paired difference", "verdict"], rows)


def _seeds_table(comparison: PolicyComparison, measured: Mapping[str, Measured], seeds: int) -> Html:
    """Each seed's mean, for the spread that the intervals do not show."""
    columns = [name for name in _COLUMNS if name in comparison.means]
    rows = []
    for name, policy in measured.items():
        parts = 1 if name == START else seeds
        means = [[float(np.nanmean(part)) for part in np.split(policy.values[column], parts)] for column in columns]
        rows.append(
            [
                name,
                *(
                    ", ".join(value_text(MEASURES[column], value) for value in values)
                    for column, values in zip(columns, means, strict=True)
                ),
            ]
        )
    return table(["configuration", *(MEASURES[name].label for name in columns)], rows)
