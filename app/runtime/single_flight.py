"""Single flight: one task per key, however many callers wait for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Key = TypeVar("Key")
Result = TypeVar("Result")


class SingleFlight(Generic[Key, Result]):
    """Running tasks, by key. A caller that gives up must not cancel the task that others share: await
    `asyncio.shield(task)`.

    `expected` are the errors that every waiting caller handles. Any other error is logged, even when no caller waits.
    """

    def __init__(self, name: str, *, expected: tuple[type[Exception], ...] = ()) -> None:
        self._name, self._expected = name, expected
        self._tasks: dict[Key, asyncio.Future[Result]] = {}
        self._following: dict[Key, asyncio.Task[Result]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, key: Key) -> bool:
        return key in self._tasks

    def join(self, key: Key, work: Callable[[], Awaitable[Result]]) -> asyncio.Future[Result]:
        """The task of the key, started now if none is running."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(work())
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    async def join_next(self, key: Key, work: Callable[[], Awaitable[Result]]) -> Result:
        """The result of a task that begins after this call: it sees everything that was written before.

        Callers that arrive while a task is running share the one that follows it.
        """
        current = self._tasks.get(key)
        if current is None:
            return await asyncio.shield(self.join(key, work))
        following = self._following.get(key)
        if following is None:
            following = self._following[key] = asyncio.create_task(self._follow(key, current, work), name=self._name)
        return await asyncio.shield(following)

    async def stop(self) -> None:
        """Cancel the running task."""
        tasks = [*self._following.values(), *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, key: Key, current: asyncio.Future[Result], work: Callable[[], Awaitable[Result]]) -> Result:
        await asyncio.wait({current})
        del self._following[key]  # the run that begins now does not see what is written from now on
        return await asyncio.shield(self.join(key, work))

    def _ended(self, key: Key, task: asyncio.Future[Result]) -> None:
        del self._tasks[key]
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, self._expected):
            log.error("%s failed", self._name, exc_info=error)
