"""What a corruption starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from adtext.brief import AdBrief, AdText


@dataclass(frozen=True, slots=True)
class Source:
    """A good text, its brief, and the briefs of other advertisers to borrow from."""

    brief: AdBrief
    text: AdText
    others: Sequence[AdBrief]


Corruption = Callable[[Source, Random], AdText | None]
