"""A policy server that costs nothing: answers every chat completion after a fixed delay, or never, and counts them.

    python -m benchmarks.upstream --port 9000 --delay 0.5

Its texts are those that the checks allow for the briefs of `benchmarks.workload`, found by the advertiser's name.
`GET /count` says how many completions were asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from benchmarks.workload import Workload


class Upstream:
    """Just enough of HTTP and of the OpenAI protocol for one client library."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._asked = 0
        self._completions = Workload().completions()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                _, _, length = head.partition(b"content-length:")
                body = await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
                writer.write(
                    _answer(await self._complete(body) if head.startswith(b"post") else {"count": self._asked})
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the caller has gone: nobody to answer
        finally:
            writer.close()

    async def _complete(self, body: bytes) -> object:
        self._asked += 1
        request: dict[str, Any] = json.loads(body)
        brief = request["messages"][-1]["content"]
        texts = next(texts for advertiser, texts in self._completions.items() if advertiser in brief)
        await asyncio.sleep(self._delay)
        return {
            "choices": [{"message": {"content": texts[number % len(texts)]}} for number in range(request["n"])],
        }


def _answer(content: object) -> bytes:
    payload = json.dumps(content).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(payload),
        payload,
    )


async def run(port: int, delay: float) -> None:
    upstream = Upstream(delay)
    async with await asyncio.start_server(upstream.serve, "127.0.0.1", port, backlog=4096) as server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--delay", type=float, default=0.5, help="seconds before each answer; inf: accept and never answer"
    )
    options = parser.parse_args()
    asyncio.run(run(options.port, min(options.delay, 1e9)))


if __name__ == "__main__":
    main()
