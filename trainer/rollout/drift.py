"""Does the sampler still write with the trainer's weights? Stale ones would teach the policy from texts that it did not write."""

from __future__ import annotations

from typing import Any

import torch

from trainer.grpo.layout import Ids, completion_logprobs, pack
from trainer.rollout.base import Group


class DriftError(ValueError):
    """The sampler's log-probabilities are not the policy's."""


@torch.no_grad()
def drift(model: Any, group: Group) -> float:
    """Mean |log π_sampler − log π_θ| over the tokens of one group, in nats; 0 for a group without tokens."""
    scored = completion_logprobs(model, pack([Ids.of(group)], device=model.device))
    claimed = torch.zeros_like(scored.logp)
    for row, one in zip(claimed, group.completions, strict=True):
        if one.logprobs is None:
            raise DriftError("the sampler gives no log-probabilities: its drift cannot be checked")
        row[: len(one.ids)] = torch.tensor(one.logprobs)
    return float((claimed - scored.logp).abs().sum() / scored.mask.sum().clamp(min=1))


def check_drift(model: Any, group: Group, limit: float) -> float:
    """The drift; DriftError above the limit."""
    found = drift(model, group)
    if not found <= limit:
        raise DriftError(
            f"the sampler's log-probabilities are {found:.3f} nats a token off the policy's, above drift {limit}: its weights are stale, "
            "or its precision is too low; start again, the run goes on from its last checkpoint"
        )
    return found
