"""What one step leaves to look at: a line of curves.jsonl (RELATE figure 3, and what goes wrong), some texts for
samples.jsonl.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from torch import Tensor

from adtext.checks import is_compliant
from adtext.ngrams import distinct
from trainer.grpo.log import sample_record
from trainer.grpo.step import StepReport
from trainer.rewards.base import FloatArray, Sample
from trainer.rewards.combine import Scored
from trainer.rollout.base import Group

Curve = dict[str, Any]  # one line of curves.jsonl
_LOGGED_GROUPS = 2  # of a step: enough to read along


def curve_of(
    groups: Sequence[Group],
    samples: Sequence[Sample],
    scored: Scored,
    advantages: Tensor,
    spread: dict[str, float],
    held_out: FloatArray | None,
) -> Curve:
    """The means of this rank's N texts: each reward on its own, raw compliance (eq. 11 over the batch), lengths in
    tokens.

    distinct: different texts of a group. zero_signal_share: groups that no token of learns anything. gap: training
    reward model − held-out reward model.
    """
    size = len(groups[0].completions)
    starts = range(0, len(samples), size)
    texts = [[sample.text for sample in samples[at : at + size] if sample.text] for at in starts]
    terms = {name: float(scores.mean()) for name, scores in scored.terms.items()}
    watched = None if held_out is None else float(held_out.mean())
    return {
        "reward": float(scored.sentence.mean()),
        "rewards": terms,
        "spread": spread,
        "compliance": fmean(sample.text is not None and is_compliant(sample.findings) for sample in samples),
        "parsed": fmean(sample.text is not None for sample in samples),
        "finished": fmean(one.finished for group in groups for one in group.completions),
        "length": fmean(len(one.ids) for group in groups for one in group.completions),
        "distinct": fmean(distinct(own) if own else 0 for own in texts),
        "zero_signal_share": fmean(not advantages[at : at + size].any() for at in starts),
        "held_out_reward_model": watched,
        "gap": None if watched is None or "ctcvr" not in terms else terms["ctcvr"] - watched,
    }


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Each value's mean over ranks, whose batches are equally large; None stays None."""
    return {name: _mean([curve[name] for curve in curves]) for name in curves[0]}


def _mean(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return mean_curve(values)
    return None if values[0] is None else fmean(values)


def diagnostics(report: StepReport) -> Curve:
    """What the optimisation phase reports, over all ranks."""
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


def records(
    step: int,
    tokenizer: Any,
    groups: Sequence[Group],
    samples: Sequence[Sample],
    scored: Scored,
    charges: Tensor,
    advantages: Tensor,
) -> list[dict[str, Any]]:
    """The texts of the step's first groups, token by token."""
    texts = [one for group in groups[:_LOGGED_GROUPS] for one in group.completions]
    return [
        sample_record(
            step,
            samples[at],
            [tokenizer.decode([token]) for token in text.ids],
            charges[at, : len(text.ids)].tolist(),
            {name: float(scores[at]) for name, scores in scored.terms.items()},
            float(advantages[at]),
        )
        for at, text in enumerate(texts)
    ]
