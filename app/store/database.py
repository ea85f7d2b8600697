"""The one way to PostgreSQL: an async SQLAlchemy engine over psycopg 3, and COPY on the same connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.settings import Settings

# What "the database is down" looks like, whichever layer noticed first.
Unavailable: tuple[type[Exception], ...] = (
    OperationalError,
    InterfaceError,
    PoolTimeout,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    ConnectionError,
)

__all__ = ["AsyncConnection", "AsyncEngine", "DBAPIError", "Database", "Unavailable"]


class Database:
    """Connections for the service. `begin()` commits once, when its block ends; `autocommit()` with every statement."""

    def __init__(self, settings: Settings, *, pool_size: int = 8) -> None:
        self.engine: AsyncEngine = create_async_engine(
            settings.sqlalchemy_url,
            pool_size=pool_size,
            max_overflow=4,
            pool_timeout=5,
            hide_parameters=True,  # an error's message must not quote a query into a log
            connect_args={"connect_timeout": 5},
        )
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back on any error."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """Each statement by itself: one round trip, where a transaction takes three. Under load a trip waits for a turn of the loop."""
        async with self._autocommit.connect() as connection:
            yield connection

    async def warm(self, connections: int) -> None:
        """Open connections ahead: opening one takes longer than a first request may wait."""
        opened = await asyncio.gather(*(self.engine.connect() for _ in range(connections)))
        await asyncio.gather(*(connection.close() for connection in opened))

    async def close(self) -> None:
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
