"""A writer: whatever turns a brief into raw completions. Vetting them is not its business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from adtext.brief import AdBrief
from adtext.spec import TextSpec


class WriterUnavailable(RuntimeError):
    """The writer could not answer: refused, timed out, or answered nonsense. The fallback chain takes over."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a writer returned for one call."""

    completions: Sequence[str]  # raw, one per sample that came to its end
    prompt_hash: str  # SHA-256 of what was asked, first 16 hex characters
    seed: int | None
    cut: int = 0  # samples that the token limit cut off: candidates that nobody may be shown


class Writer(Protocol):
    @property
    def down(self) -> bool:
        """It failed a moment ago: asking it again now would only cost time."""
        ...

    async def write(self, brief: AdBrief, spec: TextSpec, *, n: int, seed: int) -> Draft:
        """n raw completions. Raises WriterUnavailable; cancellation reaches the server."""
        ...

    async def healthy(self) -> bool: ...

    async def close(self) -> None: ...
