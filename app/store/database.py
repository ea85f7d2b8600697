"""The one way to PostgreSQL: an async SQLAlchemy engine over psycopg 3, COPY on its connections, and psycopg alone
where a miss waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.core.settings import Settings

# What "the database is down" looks like, whichever layer noticed first.
Unavailable: tuple[type[Exception], ...] = (
    OperationalError,
    InterfaceError,
    PoolTimeout,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    ConnectionError,
)

Direct = psycopg.AsyncConnection[Any]
DIRECT = 3  # connections for single statements: reading pool heads, saving fallbacks, saving refills

__all__ = ["AsyncConnection", "AsyncEngine", "DBAPIError", "Database", "Direct", "Unavailable"]


class Database:
    """Connections for the service. `begin()` commits once, when its block ends; `direct()` with every statement."""

    def __init__(self, settings: Settings, *, pool_size: int = 8) -> None:
        self.engine: AsyncEngine = create_async_engine(
            settings.sqlalchemy_url,
            pool_size=pool_size,
            max_overflow=4,
            pool_timeout=5,
            hide_parameters=True,  # an error's message must not quote a query into a log
            connect_args={"connect_timeout": 5},
        )
        self._direct = AsyncConnectionPool(
            settings.psycopg_url,
            min_size=DIRECT,
            max_size=DIRECT,
            timeout=5,
            open=False,
            kwargs={"autocommit": True, "connect_timeout": 5},
        )

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back on any error."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def direct(self) -> AsyncIterator[Direct]:
        """A psycopg connection on which each statement commits by itself.

        It takes two turns of the event loop where a transaction through SQLAlchemy takes twelve: under load a miss
        waits for each of them.
        """
        await self._direct.open()
        async with self._direct.connection() as connection:
            yield connection

    async def warm(self, connections: int) -> None:
        """Open connections ahead: opening one takes longer than a first request may wait."""
        opened = await asyncio.gather(*(self.engine.connect() for _ in range(connections)))
        await asyncio.gather(*(connection.close() for connection in opened))
        await self._direct.open(wait=True, timeout=5)

    async def close(self) -> None:
        await self._direct.close()
        await self.engine.dispose()


async def driver(connection: AsyncConnection) -> psycopg.AsyncConnection[Any]:
    """The psycopg connection underneath, inside the same transaction."""
    raw = await connection.get_raw_connection()
    inner = raw.driver_connection
    assert isinstance(inner, psycopg.AsyncConnection)
    return inner


async def copy(
    connection: AsyncConnection, table: str, columns: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """COPY rows into a table in binary, a few times faster than INSERT. Names come from code, never from a request."""
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    async with (await driver(connection)).cursor() as cursor, cursor.copy(statement.encode()) as out:
        out.set_types(types)
        for row in rows:
            await out.write_row(row)
