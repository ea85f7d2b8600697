"""One comparison: policies × prompts → raw samples → measures → paired differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path

from rich.table import Table

from adtext.rules import Rules, load_rules
from trainer.baselines.nlg import Nlg, best_logged
from trainer.evaluation.compare import PolicyComparison, compare
from trainer.evaluation.metrics import MEASURES, Measured, Scorer, measure, with_truth
from trainer.evaluation.report import value_text
from trainer.evaluation.sampling import Entrant, Sampling, sample
from trainer.prompts import DataSplit, evenly, load_prompts
from trainer.reward_model.dataset import read_cells
from trainer.reward_model.encoders import make_encoder
from trainer.reward_model.score import RewardModel
from trainer.rewards.judge_scores import JudgeScores, judges_of
from trainer.rewards.semantics import Relevance
from trainer.snapshot import read_snapshot


@dataclass(frozen=True)
class Yardsticks:
    """What texts are measured with: the same for every policy of a comparison."""

    prompts: Path | None
    language: str
    rules: Rules
    relevance: Relevance
    models: dict[str, RewardModel]  # ctcvr: the one that policies are trained on; held_out_reward_model: the other
    judges: dict[str, JudgeScores]  # by the prefix of their columns: the judge, and second_, which nothing else reads
    nlg: Nlg

    @staticmethod
    def load(
        *,
        prompts: Path | None = None,
        language: str = "en",
        encoder: str = "minilm",
        reward_model: Path | None = None,
        held_out_reward_model: Path | None = None,
        logged: Path | None = None,
        cache: Path | None = None,
    ) -> Yardsticks:
        """Relevance is calibrated on training advertisers; without a reward model there are no predicted rates,
        without logs templates.
        """
        training = load_prompts(prompts, language=language, split="train")
        relevance = Relevance.calibrate(make_encoder(encoder, lambda: [], cache), training)
        folders = {"ctcvr": reward_model, "held_out_reward_model": held_out_reward_model}
        models = {name: RewardModel.load(folder, cache=cache) for name, folder in folders.items() if folder}
        nlg = Nlg(best_logged(read_cells(read_snapshot(logged)))) if logged else Nlg()
        judges = {prefix: scores for prefix, scores in zip(("", "second_"), judges_of(language), strict=True) if scores}
        return Yardsticks(prompts, language, load_rules(), relevance, models, judges, nlg)


Found = dict[str, tuple[PolicyComparison, list[Measured]]]


def evaluate(
    entrants: Sequence[Entrant],
    splits: Sequence[DataSplit],
    sticks: Yardsticks,
    sampling: Sampling,
    out: Path,
    *,
    base: str | None = None,
    limit: int | None = None,
    truth: Scorer | None = None,
    watch: Callable[[str], object] = lambda line: None,
) -> Found:
    """By split, the comparison and the measured samples; out/<split>/<policy>.jsonl keeps the samples,
    out/results.json the numbers.

    limit: of prompts, evenly spread over the split. truth: the true CTCVR where users are simulated.
    """
    found: Found = {}
    for split in splits:
        prompts = evenly(load_prompts(sticks.prompts, language=sticks.language, split=split), limit)
        measured = []
        for entrant in entrants:
            samples = sample(
                entrant,
                prompts,
                sampling,
                out / split / f"{entrant.name}.jsonl",
                sticks.rules,
                nlg=sticks.nlg,
                base=base,
                watch=watch,
            )
            values = measure(entrant.name, samples, sticks.relevance, sticks.models, sticks.judges)
            measured.append(with_truth(values, truth) if truth else values)
        found[split] = compare(measured), measured
    results = {split: asdict(comparison) for split, (comparison, _) in found.items()}
    (out / "results.json").write_text(dumps(results, indent=1) + "\n", encoding="utf-8")
    return found


def summary(split: str, comparison: PolicyComparison) -> Table:
    """The comparison as a terminal shows it."""
    table = Table(
        "measure", *comparison.policies, box=None, title=f"{split}: {comparison.advertisers} advertisers, raw samples"
    )
    for name, means in comparison.means.items():
        measure = MEASURES[name]
        cells = [
            f"{value_text(measure, mean.value)} [{value_text(measure, mean.low)}, {value_text(measure, mean.high)}]"
            for mean in means
        ]
        table.add_row(measure.label, *cells)
    return table
