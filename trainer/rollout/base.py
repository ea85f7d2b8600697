"""The result of a rollout, independent of the engine: G completions of each prompt, as sampled ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from trainer.forward.ids import Ids
from trainer.prompts import Prompt

if TYPE_CHECKING:  # a reader of logged groups needs no torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled text y_i. Its text is never tokenised again, because that could give other tokens than the
    sampled ones.
    """

    ids: tuple[int, ...]  # as sampled; ends with the end-of-text id when finished
    text: str  # decoded without special tokens
    finished: bool  # False: cut at the longest length, so no end-of-text
    logprobs: tuple[float, ...] | None  # the sampler's own log π, one per id, for the drift check; never π_old


@dataclass(frozen=True, slots=True)
class Group:
    """The G completions of one prompt: what a sentence advantage is relative to (RELATE eq. 8)."""

    prompt: Prompt
    prompt_ids: tuple[int, ...]  # the prompt as the policy read it, chat template included
    completions: tuple[Completion, ...]

    @property
    def ids(self) -> Ids:
        """The group's tokens for the forward pass."""
        return Ids(self.prompt_ids, [completion.ids for completion in self.completions])


class Rollout(Protocol):
    """Samples from π_θ itself: temperature 1, top-p 1, no top-k, no penalty, no constrained decoding."""

    name: str

    def sample(
        self, prompts: Sequence[Prompt], prompt_ids: Sequence[Sequence[int]], group_size: int, *, seed: int
    ) -> list[Group]:
        """One group of group_size completions per prompt, in the prompts' order; the same seed and weights give the
        same groups.
        """

    def push(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Sample from these weights, by name, from now on; others stay. Each is a copy and is read once."""
