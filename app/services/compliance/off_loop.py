"""Checks long texts in a separate thread, so that the event loop keeps answering."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

INLINE_CHARS = 4_000  # brief and texts together up to this size are checked on the event loop: a thread would cost more
MOST_WAITING = 64  # jobs that wait for the thread

# one thread: two would only alternate, and each switch delays the event loop
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checks")
_waiting = 0


def crowded() -> bool:
    """Whether more long texts wait than can be checked in time."""
    return _waiting >= MOST_WAITING


async def weighed(chars: int, work: Callable[[], Result]) -> Result:
    """The result of `work`, which checks this many characters of text."""
    global _waiting
    if chars <= INLINE_CHARS:
        return work()
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_thread, work)
    finally:
        _waiting -= 1
