"""A policy server that answers without end, without shape or without haste.

python -m benchmarks.hostile_upstream KIND PORT    one kind of `HOSTILE`, in a process of its own
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Send = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
GZIP = b"content-encoding: gzip\r\n"


def whole(payload: bytes, headers: bytes = b"") -> Send:
    """Sends a complete answer with this body."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(OK + headers + b"content-length: %d\r\n\r\n" % len(payload) + payload)
        await writer.drain()

    return send


async def endless(writer: asyncio.StreamWriter) -> None:
    """Sends a body that never ends, as fast as the caller reads it."""
    writer.write(OK + b"\r\n")
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()


def dripping(start: bytes, drop: bytes, pause_s: float) -> Send:
    """Sends `start`, then `drop` after every pause, for ever."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return send


def dripping_body(pause_s: float) -> Send:
    """Sends the headers of a long body, then one byte after every pause."""
    return dripping(OK + b"content-length: 100000\r\n\r\n", b" ", pause_s)


def choices(*contents: object) -> bytes:
    """The body of a chat completion with these contents."""
    return json.dumps({"choices": [{"message": {"content": content}} for content in contents]}).encode()


HOSTILE: dict[str, Send] = {
    # members of one kilobyte each: 600 MB inflated
    "a compressed bomb": whole(gzip.compress(b" " * 1024) * 600_000, GZIP),
    "an endless body": endless,
    "20,000 choices": whole(choices(*["Title: x\nDescription: y"] * 20_000)),
    "a body that drips": dripping_body(0.05),
}


@asynccontextmanager
async def answering(send: Send, port: int = 0) -> AsyncIterator[str]:
    """Answers every POST with `send`, and every health check with 200. Yields the server's URL."""
    healthy = whole(b"{}")

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                await (healthy if head.startswith(b"GET") else send)(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the service closed the connection
        finally:
            writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", port) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def serve(kind: str, port: int) -> None:
    async with answering(HOSTILE[kind], port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
