"""A hostile policy server, in a process of its own: `python -m benchmarks.hostile_upstream KIND PORT`."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import Callable
from typing import Any

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


async def _endless(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"\r\n")
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()


async def _dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"content-length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _whole(writer: asyncio.StreamWriter, payload: bytes, headers: bytes = b"") -> None:
    writer.write(OK + headers + b"content-length: %d\r\n\r\n" % len(payload) + payload)
    await writer.drain()


_BOMB = gzip.compress(b" " * 1024) * 600_000  # members of one kilobyte each: 600 MB inflated
_CHOICES = json.dumps({"choices": [{"message": {"content": "Title: x\nDescription: y"}}] * 20_000}).encode()
HOSTILE: dict[str, Callable[[asyncio.StreamWriter], Any]] = {
    "a compressed bomb": lambda writer: _whole(writer, _BOMB, b"content-encoding: gzip\r\n"),
    "an endless body": _endless,
    "20,000 choices": lambda writer: _whole(writer, _CHOICES),
    "a body that drips": _dripping,
}


async def serve(kind: str, port: int) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"GET"):
                    await _whole(writer, b"{}")
                else:
                    await HOSTILE[kind](writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the service hung up
        finally:
            writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
