"""Connections to PostgreSQL with a limit on every wait, also on a server that accepts and never answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

CONNECT_S = 2.0
GRACE_S = 0.1  # an answer that arrived while the event loop was busy is read before the connection is closed

Direct = psycopg.AsyncConnection[Any]


class DatabaseTimeout(ConnectionError):
    """The database did not answer in time."""


class DatabaseBusy(ConnectionError):
    """Too many callers already wait for the database."""


async def connect(*arguments: Any, **options: Any) -> Direct:
    """What psycopg's own `connect` does, within CONNECT_S: libpq's timeout is two seconds for each address."""
    try:
        async with asyncio.timeout(CONNECT_S):
            return await psycopg.AsyncConnection.connect(*arguments, **options)
    except TimeoutError:
        raise DatabaseTimeout(f"no connection within {CONNECT_S:g} s") from None


@contextmanager
def cut_after(connection: Direct, limit_s: float) -> Iterator[None]:
    """Shut the connection's socket when the block takes longer: the running statement fails as if the server had died.

    Cancelling the task is not enough: psycopg then asks the server to cancel the statement, and waits up to ten seconds
    for a server that does not answer.
    """
    loop = asyncio.get_running_loop()
    cut = asyncio.Event()
    timers: list[asyncio.TimerHandle] = []

    def shut() -> None:
        cut.set()
        _shut(connection)

    timers.append(loop.call_later(limit_s, lambda: timers.append(loop.call_later(GRACE_S, shut))))
    try:
        yield
    except Exception as error:
        if cut.is_set():
            raise DatabaseTimeout(f"no answer within {limit_s:g} s") from error
        raise
    finally:
        for timer in timers:
            timer.cancel()


def lost(connection: Direct) -> bool:
    """Whether an idle connection is unusable: it is closed, or data waits to be read, which ends the session."""
    if connection.closed:
        return True
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    return bool(waiting.poll(0))


def _shut(connection: Direct) -> None:
    with (
        contextlib.suppress(OSError, psycopg.OperationalError),  # it is closed already
        socket.socket(fileno=os.dup(connection.pgconn.socket)) as twin,
    ):
        twin.shutdown(socket.SHUT_RDWR)


class DirectPool:
    """A small pool of psycopg connections in which each statement commits separately.

    A connection is opened when it is needed and none is free. There are no automatic retries and no backoff, so that
    the first caller after an outage is served.
    """

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._slots = asyncio.Semaphore(size)
        self._free: list[Direct] = []
        self._closed = False

    @asynccontextmanager
    async def connection(self, limit_s: float) -> AsyncIterator[Direct]:
        """One connection for a block that takes at most `limit_s`. Raises DatabaseTimeout, and what psycopg raises."""
        try:
            async with asyncio.timeout(limit_s):
                await self._slots.acquire()
        except TimeoutError:
            raise DatabaseTimeout(f"every connection was busy for {limit_s:g} s") from None
        try:
            connection = await self._kept() or await connect(self._url, autocommit=True)
            try:
                with cut_after(connection, limit_s):
                    yield connection
            finally:
                if self._closed or connection.pgconn.transaction_status != TransactionStatus.IDLE:
                    await connection.close()
                else:
                    self._free.append(connection)
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Close the free connections now, and the others when they are returned."""
        self._closed = True
        while self._free:
            await self._free.pop().close()

    async def _kept(self) -> Direct | None:
        while self._free:
            connection = self._free.pop()
            if not lost(connection):
                return connection
            await connection.close()
        return None
