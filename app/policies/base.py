"""The interface of a policy: a writer turns a brief into raw completions. It does not check them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from adtext.brief import AdBrief
from adtext.spec import TextSpec


class WriterUnavailable(RuntimeError):
    """The writer failed: it refused, timed out, or returned an invalid answer. The fallback chain answers instead."""


@dataclass(frozen=True, slots=True)
class WriterAnswer:
    """The result of one call of a writer."""

    completions: Sequence[str]  # the raw answer of every sample that was completed
    prompt_hash: str  # SHA-256 of the request, first 16 hex characters
    seed: int | None
    cut: int = 0  # samples that the token limit cut off: candidates that are never shown


class Writer(Protocol):
    @property
    def down(self) -> bool:
        """True after a recent failure: another call now would only cost time."""
        ...

    async def write(self, brief: AdBrief, spec: TextSpec, *, n: int, seed: int) -> WriterAnswer:
        """n raw completions. Raises WriterUnavailable. Cancelling the call cancels it on the server."""
        ...

    async def healthy(self) -> bool: ...

    async def close(self) -> None: ...
