"""Access to PostgreSQL: an async SQLAlchemy engine over psycopg 3, COPY on its connections, and plain psycopg where a
pool miss waits.

Each purpose has its own connections, so that many reports do not block the poll of revisions, the events and the
serving log. Every wait has a limit: for a free connection, for opening one, and for the block that uses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.core.settings import Settings
from app.store.connections import DatabaseBusy, DatabaseTimeout, Direct, DirectPool, connect, cut_after, lost

# The errors of an unavailable database, whichever layer raises them.
Unavailable: tuple[type[Exception], ...] = (
    OperationalError,
    InterfaceError,
    PoolTimeout,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    ConnectionError,
)

WAIT_S = 5.0  # for a free connection
LIMIT_S = 60.0  # a report over a large installation, a batch of a deletion
EVENTS_S = 5.0  # a group of eight batches
REVISIONS_S = 1.0  # the poll of revisions: half of what a replica may go without a confirmation
WARM_S = 15.0  # a start
DIRECT_S = 1.5  # one statement that a pool miss waits for

DIRECT = 3  # connections for single statements: reading pool heads, saving fallbacks, saving refills
_MAIN, _MORE, _BACKGROUND, _EVENTS, _REVISIONS = 8, 4, 3, 2, 1

__all__ = ["AsyncConnection", "DBAPIError", "Database", "DatabaseBusy", "DatabaseTimeout", "Direct", "Unavailable"]


class _Connections:
    """The SQLAlchemy connections of one purpose."""

    def __init__(self, settings: Settings, size: int, *, more: int = 0) -> None:
        self.engine: AsyncEngine = create_async_engine(
            settings.sqlalchemy_url,
            pool_size=size,
            max_overflow=more,
            pool_timeout=WAIT_S,
            hide_parameters=True,  # error messages must not quote a query in a log
            connect_args={"async_creator_fn": connect},
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_lost)

    @asynccontextmanager
    async def begin(self, limit_s: float) -> AsyncIterator[AsyncConnection]:
        async with self.engine.connect() as connection:
            with cut_after(await driver(connection), limit_s):
                async with connection.begin():
                    yield connection


def _refuse_lost(connection: Any, record: object, proxy: object) -> None:
    """Replaces an idle connection that the server has closed, and the other idle ones."""
    if lost(connection.driver_connection):
        raise InvalidatePoolError


class Database:
    """Connections for the service. `begin()` commits once, when its block ends; `direct()` with every statement."""

    def __init__(self, settings: Settings) -> None:
        self._main = _Connections(settings, _MAIN, more=_MORE)
        self._background = _Connections(settings, _BACKGROUND)
        self._events = _Connections(settings, _EVENTS)
        self._revisions = _Connections(settings, _REVISIONS)
        self._direct = DirectPool(settings.psycopg_url, DIRECT)

    def begin(self, limit_s: float = LIMIT_S) -> AbstractAsyncContextManager[AsyncConnection]:
        """One transaction of at most `limit_s`: committed at the end of the block, rolled back on any error."""
        return self._main.begin(limit_s)

    def background(self, limit_s: float = LIMIT_S) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction of background work: the serving log, the fold, the revalidation, prefill."""
        return self._background.begin(limit_s)

    def events(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that stores events."""
        return self._events.begin(EVENTS_S)

    def revisions(self, limit_s: float = REVISIONS_S) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that reads the state that replicas hold in memory."""
        return self._revisions.begin(limit_s)

    def direct(self, limit_s: float = DIRECT_S) -> AbstractAsyncContextManager[Direct]:
        """A psycopg connection on which each statement commits by itself.

        It needs two turns of the event loop, and a transaction through SQLAlchemy needs twelve: under load a miss waits
        for each.
        """
        return self._direct.connection(limit_s)

    async def warm(self, connections: int) -> None:
        """Open connections in advance: opening one takes longer than a first request may wait.

        Opening is retried for WARM_S where the database is slow: a start may take longer than a request.
        """
        deadline = monotonic() + WARM_S
        while True:
            try:
                await self._open(connections)
                return
            except DatabaseTimeout:
                if monotonic() > deadline:
                    raise

    async def _open(self, connections: int) -> None:
        engines = [self._main.engine] * connections
        engines += [purpose.engine for purpose in (self._background, self._events, self._revisions)]
        opened = await asyncio.gather(*(engine.connect() for engine in engines), return_exceptions=True)
        failures = [result for result in opened if isinstance(result, BaseException)]
        await asyncio.gather(*(result.close() for result in opened if not isinstance(result, BaseException)))
        if failures:
            raise failures[0]
        async with AsyncExitStack() as held:
            for _ in range(DIRECT):
                await held.enter_async_context(self._direct.connection(DIRECT_S))

    async def close(self) -> None:
        await self._direct.close()
        for pool in (self._main, self._background, self._events, self._revisions):
            await pool.engine.dispose()


async def driver(connection: AsyncConnection) -> Direct:
    """The underlying psycopg connection, in the same transaction."""
    raw = await connection.get_raw_connection()
    inner = raw.driver_connection
    assert isinstance(inner, psycopg.AsyncConnection)
    return inner
