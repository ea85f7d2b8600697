"""A way to PostgreSQL that a test can close, hang, or let forget its connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


class DatabaseProxy:
    """Forwards TCP connections to the Unix socket that a database URL names. Lives in a thread of its own: plain
    connections of a test pass through it too.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        (self._socket,) = Path(parse_qs(parts.query)["host"][0]).glob(".s.PGSQL.*[0-9]")
        self._database = parts.path
        self._port = 0
        self._generation = 0  # connections of an older one are never forwarded again
        self._flows = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def running(self) -> Iterator[DatabaseProxy]:
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        self.open()
        try:
            yield self
        finally:
            self.kill()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}{self._database}?sslmode=disable&gssencmode=disable"

    def open(self) -> None:
        """Accept and forward: the database is back, or there for the first time."""
        self._do(self._open)

    def kill(self) -> None:
        """Break every connection and refuse new ones, as a database that was killed."""
        self._do(self._kill)

    def hang(self) -> None:
        """Forward nothing and close nothing, as a database that was stopped (SIGSTOP)."""
        self._call(self._flows.clear)

    def resume(self) -> None:
        self._call(self._flows.set)

    def forget(self) -> None:
        """End a hang for new connections only: what was open stays silent for ever, as after a failover."""

        def older() -> None:
            self._generation += 1
            self._flows.set()

        self._call(older)

    async def _open(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _kill(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        generation = self._generation
        try:
            there, back = await asyncio.open_unix_connection(str(self._socket))
            pumps = [asyncio.ensure_future(self._pump(*ends, generation)) for ends in ((reader, back), (there, writer))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                back.transport.abort()
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, generation: int) -> None:
        while data := await source.read(65536):
            await self._flows.wait()
            if generation < self._generation:
                await asyncio.Event().wait()
            sink.write(data)

    def _call(self, step: Callable[[], object]) -> None:
        async def run() -> None:
            step()

        self._do(run)

    def _do(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(step(), self._loop).result(10)
