"""The tokens of one group. Light: no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Ids(NamedTuple):
    """One group's tokens: the prompt's, and those of each completion."""

    prompt: Sequence[int]
    completions: Sequence[Sequence[int]]

    @property
    def tokens(self) -> int:
        """The number of tokens that the group takes in a shared row."""
        return len(self.prompt) + sum(map(len, self.completions))
