"""Group commit: writers that arrive during a transaction share the next one, and each is answered after its commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

from app.store.database import DatabaseBusy, DatabaseTimeout, Unavailable

Connection = TypeVar("Connection")
Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Connection, Item, Result]):
    """`write(connection, items)` returns one result an item, in order; `connect` is `Database.begin`, or `direct` where
    it writes with one statement. A group that fails is retried item by item, so that one invalid item fails alone. When
    the database is unavailable, every writer gets the error and nothing is committed. At most `waiting` items wait;
    then `submit` raises DatabaseBusy.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[Connection]],
        write: Callable[[Connection, list[Item]], Awaitable[list[Result]]],
        *,
        most: int = 256,
        waiting: int = 100_000,
    ) -> None:
        self._connect, self._write, self._most, self._limit = connect, write, most, waiting
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._worker: asyncio.Task[None] | None = None

    def submit(self, item: Item) -> asyncio.Future[Result]:
        if len(self._waiting) >= self._limit:
            raise DatabaseBusy(f"{self._limit} writers already wait for the database")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._drain(), name="group-commit")
        return future

    async def _drain(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            group = [entry for entry in group if not entry[1].done()]  # the other writers have given up
            try:
                await self._commit(group)
            except DatabaseTimeout as error:  # the database hangs: the waiting writers would wait as long again
                waiting, self._waiting = self._waiting, []
                _fail(group + waiting, error)
            except Unavailable as error:
                _fail(group, error)
            except Exception as error:
                if len(group) == 1:
                    _fail(group, error)
                    continue
                for entry in group:
                    await self._alone(entry)

    async def _alone(self, entry: tuple[Item, asyncio.Future[Result]]) -> None:
        try:
            await self._commit([entry])
        except Exception as error:
            _fail([entry], error)

    async def _commit(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        async with self._connect() as connection:
            results = await self._write(connection, [item for item, _ in group])
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)


def _fail(group: list[tuple[Item, asyncio.Future[Result]]], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
