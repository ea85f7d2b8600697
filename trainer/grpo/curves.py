"""The record of one step: a line of curves.jsonl (RELATE figure 3 and diagnostics) and some texts for samples.jsonl."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from torch import Tensor

from adtext.checks import is_compliant
from adtext.ngrams import distinct
from trainer.distributed import Ranks
from trainer.grpo.log import sample_record
from trainer.grpo.step import StepReport
from trainer.grpo.watch import Vitals
from trainer.rewards import Sample, Scored
from trainer.rollout.base import Group

Curve = dict[str, Any]  # one line of curves.jsonl
_LOGGED_GROUPS = 2  # per step


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The results of one step on this rank: N texts in groups, with at most T tokens each."""

    groups: Sequence[Group]
    samples: Sequence[Sample]
    scored: Scored
    charges: Tensor  # [N, T] r_t
    sentence: Tensor  # [N] A_i
    advantages: Tensor  # [N, T] A_it
    report: StepReport  # over all ranks
    drift: float | None
    seconds: dict[str, float]


def curve_of(step: int, taken: StepRecord, spread: dict[str, float], learning_rate: float, ranks: Ranks) -> Curve:
    """One line of curves.jsonl: means over all ranks. spread: each weighted term's standard deviation in a group."""
    of_rank = _means(taken, spread)
    return {
        "step": step,
        "learning_rate": learning_rate,
        **mean_curve(ranks.gather([of_rank])),
        **diagnostics(taken.report),
        "drift": taken.drift,
        "seconds": taken.seconds,
    }


def _means(taken: StepRecord, spread: dict[str, float]) -> Curve:
    """The means of this rank's texts: each reward separately, raw compliance (eq. 11 over the batch), lengths in
    tokens.

    distinct: different texts of a group. zero_signal_share: share of groups in which every advantage is 0. gap:
    training reward model − held-out reward model. judge_gap: the judge − the second judge, mean of truth and fluency.
    """
    groups, samples, scored = taken.groups, taken.samples, taken.scored
    size = len(groups[0].completions)
    starts = range(0, len(samples), size)
    texts = [[sample.text for sample in samples[at : at + size] if sample.text] for at in starts]
    terms = {name: float(scores.mean()) for name, scores in scored.terms.items()}
    held_out = None if scored.held_out is None else float(scored.held_out.mean())
    second = {name: float(scores.mean()) for name, scores in scored.second_judge.items()}
    judge_gaps = [terms[name] - value for name, value in second.items() if name in terms]
    return {
        "reward": float(scored.sentence.mean()),
        "rewards": terms,
        "spread": spread,
        "compliance": fmean(sample.text is not None and is_compliant(sample.findings) for sample in samples),
        "parsed": fmean(sample.text is not None for sample in samples),
        "finished": fmean(text.finished for group in groups for text in group.completions),
        "length": fmean(len(text.ids) for group in groups for text in group.completions),
        "distinct": fmean(distinct(parsed) if parsed else 0 for parsed in texts),
        "zero_signal_share": fmean(not taken.advantages[at : at + size].any() for at in starts),
        "held_out_reward_model": held_out,
        "gap": None if held_out is None or "ctcvr" not in terms else terms["ctcvr"] - held_out,
        "second_judge": second,
        "judge_gap": fmean(judge_gaps) if judge_gaps else None,
    }


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Each value's mean over ranks, whose batches are equally large; None stays None."""
    return {name: _mean([curve[name] for curve in curves]) for name in curves[0]}


def _mean(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return mean_curve(values)
    return None if values[0] is None else fmean(values)


def diagnostics(report: StepReport) -> Curve:
    """The diagnostics of the optimisation phase, over all ranks."""
    return {
        "loss": report.loss,
        "grad_norm": report.grad_norm,
        "kl": report.kl,
        "entropy": report.entropy,
        "ratio": report.ratio,
        "clip_share": report.clipped_low + report.clipped_high,
        "tokens": report.tokens,
        "empty": report.empty,
    }


def vitals_of(curve: Curve, group_size: int) -> Vitals:
    """The readings that are compared with the limits."""
    return Vitals(
        curve["kl"],
        curve["length"],
        curve["distinct"] / group_size,
        curve["gap"],
        curve["judge_gap"],
        curve["rewards"].get("truth"),
        curve["rewards"].get("fluency"),
    )


def records(step: int, tokenizer: Any, taken: StepRecord) -> list[dict[str, Any]]:
    """The texts of the step's first groups, token by token."""
    texts = [text for group in taken.groups[:_LOGGED_GROUPS] for text in group.completions]
    return [
        sample_record(
            step,
            taken.samples[at],
            [tokenizer.decode([token]) for token in text.ids],
            taken.charges[at, : len(text.ids)].tolist(),
            {name: float(scores[at]) for name, scores in taken.scored.terms.items()},
            float(taken.sentence[at]),
        )
        for at, text in enumerate(texts)
    ]
