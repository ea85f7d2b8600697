"""The drift check: whether the sampler still uses the trainer's weights. With stale weights the policy would learn from
texts that it did not write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.forward.layout import completion_logprobs, pack
from trainer.rollout.base import Group


class DriftError(ValueError):
    """The sampler's log-probabilities differ from the policy's by more than the limit."""


def sampler_logprobs(groups: Sequence[Group]) -> Tensor:
    """The sampler's own log π of every sampled token, [N, T], 0 on padding; DriftError where it gives none."""
    texts = [completion for group in groups for completion in group.completions]
    claimed = torch.zeros(len(texts), max((len(completion.ids) for completion in texts), default=0))
    for row, completion in zip(claimed, texts, strict=True):
        if completion.logprobs is None:
            raise DriftError("the sampler gives no log-probabilities: its drift can be neither checked nor corrected")
        row[: len(completion.ids)] = torch.tensor(completion.logprobs)
    return claimed


@torch.no_grad()
def drift(model: Any, group: Group) -> float:
    """Mean |log π_sampler − log π_θ| over the tokens of one group, in nats; 0 for a group without tokens."""
    scored = completion_logprobs(model, pack([group.ids], device=model.device))
    claimed = sampler_logprobs([group]).to(scored.logp.device)[:, : scored.logp.shape[1]]
    return float((claimed - scored.logp).abs().sum() / scored.mask.sum().clamp(min=1))


def check_drift(model: Any, group: Group, limit: float) -> float:
    """The drift; DriftError above the limit."""
    found = drift(model, group)
    if not found <= limit:
        raise DriftError(
            f"the sampler's log-probabilities are {found:.3f} nats per token off the policy's, above drift {limit}: "
            "its weights are stale, or its precision is too low; start again: the run resumes from its last checkpoint"
        )
    return found
