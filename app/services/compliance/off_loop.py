"""Long texts are checked in a thread of their own: the event loop goes on answering meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

INLINE_CHARS = 4_000  # of brief and texts together: checked within a few milliseconds, for less than a thread costs
MOST_WAITING = 64  # pieces of work before the thread

# one thread: two would only take turns, and each turn keeps the event loop waiting
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checks")
_waiting = 0


def crowded() -> bool:
    """More long texts wait to be checked than will be in time."""
    return _waiting >= MOST_WAITING


async def weighed(chars: int, work: Callable[[], Result]) -> Result:
    """The result of `work` over so many characters of text."""
    global _waiting
    if chars <= INLINE_CHARS:
        return work()
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_thread, work)
    finally:
        _waiting -= 1
