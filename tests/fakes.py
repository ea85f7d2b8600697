"""Neighbours that tests stand in for: a policy server that answers what it is told, late, never, or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FakePolicyServer:
    """Speaks just enough of the OpenAI protocol over real HTTP. `answer` turns a request body into completions."""

    answer: Callable[[dict[str, Any]], list[str]]
    finish: str = "stop"  # finish_reason of every choice
    delay: float = 0.0
    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    hung_up: int = 0  # callers that disconnected before their answer
    release: asyncio.Event | None = None  # when set, answers wait for it
    url: str = ""
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakePolicyServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for connection in list(self._open):
                connection.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._open.add(connection)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                body = json.loads(await reader.readexactly(int(lines.get(b"content-length", 0))) or b"{}")
                if body:
                    self.bodies.append(body)
                await self._wait(reader)
                choices = [
                    {"message": {"role": "assistant", "content": text}, "finish_reason": self.finish}
                    for text in (self.answer(body) if body else [])
                ]
                payload = json.dumps({"choices": choices}).encode()
                writer.write(
                    f"HTTP/1.1 {self.status} X\r\ncontent-type: application/json\r\ncontent-length: "
                    f"{len(payload)}\r\n\r\n".encode()
                    + payload
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._open.discard(connection)
            writer.close()

    async def _wait(self, reader: asyncio.StreamReader) -> None:
        """Hold the answer back, and notice a caller that hangs up meanwhile."""
        if not self.delay and self.release is None:
            return
        held = asyncio.ensure_future(self.release.wait() if self.release else asyncio.sleep(self.delay))
        left = asyncio.ensure_future(reader.read(1))
        await asyncio.wait({held, left}, return_when=asyncio.FIRST_COMPLETED)
        if left.done() and not held.done():
            self.hung_up += 1
            held.cancel()
            raise ConnectionError
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
