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
    adapters: dict[str, str] | None = None  # loaded while it runs, path by name; None: it loads none
    base: str = "relate-en-5"  # the model that it was started with
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
                path = head.split(b" ", 2)[1].decode()
                if path in ("/v1/models", "/v1/load_lora_adapter"):
                    writer.write(self._administer(path, body))
                    await writer.drain()
                    continue
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

    def _administer(self, path: str, body: dict[str, Any]) -> bytes:
        """vLLM's list of models, and its loading of adapters."""
        status, answer = self.status, dict[str, Any]()
        if path == "/v1/models":
            loaded = [{"id": name, "root": at, "parent": self.base} for name, at in (self.adapters or {}).items()]
            answer = {"data": [{"id": self.base, "root": f"/models/{self.base}", "parent": None}, *loaded]}
        elif self.adapters is None:
            status = 404
        elif body["lora_name"] in self.adapters:
            status, answer = 400, {"error": {"message": "it has already been loaded"}}
        else:
            self.adapters[body["lora_name"]] = body["lora_path"]
        payload = json.dumps(answer).encode()
        return f"HTTP/1.1 {status} X\r\ncontent-length: {len(payload)}\r\n\r\n".encode() + payload

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
