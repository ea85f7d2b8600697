"""Connections of callers who take their time, and the queue before the application: over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from app.core.settings import Settings
from app.http import connections
from app.http.connections import MAX_HEAD, protocol

GET = b"GET /page HTTP/1.1\r\nhost: x\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n"


class Service:
    """Answers with the size of what it read; at /slow, when it may; at /unread, before it has read anything."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.append(scope["path"])
        size, more = 0, True
        while more and scope["path"] != "/unread":
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        if scope["path"] == "/slow":
            await self.go_on.wait()
        body = str(size).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def service() -> Service:
    return Service()


Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@asynccontextmanager
async def serving(service: Service, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[Connect]:
    monkeypatch.setattr(connections, "SWEEP_S", 0.02)
    kind = protocol(Settings(**settings))
    config, state, opened = Config(service, http=kind, ws="none", log_config=None), ServerState(), []
    server = await asyncio.get_running_loop().create_server(lambda: kind(config, state, {}), "127.0.0.1", 0)

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opened.append(await asyncio.open_connection(*server.sockets[0].getsockname()))
        return opened[-1]

    try:
        yield connect
    finally:
        service.go_on.set()
        for _, writer in opened:
            writer.close()
        server.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode().lower()
    lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:-2])
    return int(lines[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


@pytest.mark.parametrize(
    ("sent", "settings", "said"),
    [
        (b"", {"keep_alive_s": 1}, b""),  # an idle socket
        (b"GET / HTTP/1.1\r\nx: 1\r\n", {"headers_timeout_s": 0.1}, b"HTTP/1.1 408"),
        (b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc", {"body_timeout_s": 0.1}, b"HTTP/1.1 408"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\n", {"body_timeout_s": 0.1}, b"HTTP/1.1 408"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 300_000, {}, b"HTTP/1.1 431"),
    ],
    ids=["idle", "headers that never end", "a body that never comes", "a chunk that never comes", "endless headers"],
)
async def test_a_caller_that_keeps_the_service_waiting_is_disconnected(service, monkeypatch, sent, settings, said):
    async with serving(service, monkeypatch, **settings) as connect:
        reader, writer = await connect()
        writer.write(sent)
        try:
            heard = await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            heard = said  # closed with bytes on the way
    assert heard[: len(said)] == said
    assert len(said) or not heard


async def test_headers_that_drip_do_not_gain_time(service, monkeypatch):
    async with serving(service, monkeypatch, headers_timeout_s=0.2) as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\n")
        heard = asyncio.ensure_future(reader.read())
        while not heard.done():
            writer.write(b"x: y\r\n")
            await asyncio.sleep(0.02)
        assert (await heard).startswith(b"HTTP/1.1 408")


async def test_a_request_whose_body_never_comes_does_not_begin(service, monkeypatch):
    async with serving(service, monkeypatch) as connect:
        for _ in range(20):
            _, writer = await connect()
            writer.write(b"POST /generate HTTP/1.1\r\ncontent-length: 9\r\n\r\n")
        reader, writer = await connect()
        writer.write(GET)
        assert (await answer(reader))[0] == 200
    assert service.begun == ["/page"]


async def test_idle_connections_make_room_for_a_new_one(service, monkeypatch):
    async with serving(service, monkeypatch, max_connections=8) as connect:
        idle = [await connect() for _ in range(20)]
        reader, writer = await connect()
        writer.write(GET)
        assert (await answer(reader))[0] == 200
        assert [await asyncio.wait_for(reader.read(), 5) for reader, _ in idle[:12]] == [b""] * 12


async def test_connections_that_were_answered_before_their_body_make_room_for_a_new_one(service, monkeypatch):
    async with serving(service, monkeypatch, max_connections=8) as connect:
        for _ in range(8):
            reader, writer = await connect()
            writer.write(b"POST /unread HTTP/1.1\r\ncontent-length: 200000\r\n\r\n" + b"x" * 30_000)
            assert (await answer(reader))[0] == 200
        reader, writer = await connect()
        writer.write(GET)
        assert (await answer(reader))[0] == 200


async def test_a_request_at_work_does_not_make_room(service, monkeypatch):
    async with serving(service, monkeypatch, max_connections=8) as connect:
        working = [await connect() for _ in range(8)]
        for _, writer in working:
            writer.write(SLOW)
        while len(service.begun) < 8:
            await asyncio.sleep(0.01)
        refused, _ = await connect()
        assert await asyncio.wait_for(refused.read(), 5) == b""
        service.go_on.set()
        assert [(await answer(reader))[0] for reader, _ in working] == [200] * 8


@pytest.mark.parametrize("size", [0, 10, 16_384, 16_385, 200_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_any_size_arrives_whole_and_the_connection_goes_on(service, monkeypatch, size, chunked):
    head = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % size
    body = (b"%x\r\n%b\r\n" % (size, b"x" * size) if size else b"") + b"0\r\n\r\n" if chunked else b"x" * size
    async with serving(service, monkeypatch, headers_timeout_s=0.1, body_timeout_s=0.1) as connect:
        reader, writer = await connect()
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\n" + head + b"\r\n\r\n" + body)
            assert await answer(reader) == (200, {"content-length": str(len(str(size)))}, str(size).encode())
            await asyncio.sleep(0.15)  # idle for longer than a request may take


async def test_pipelined_requests_are_answered_in_order(service, monkeypatch):
    async with serving(service, monkeypatch) as connect:
        reader, writer = await connect()
        writer.write(b"".join(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % n + b"x" * n for n in range(6)))
        assert [(await answer(reader))[2] for _ in range(6)] == [str(n).encode() for n in range(6)]


async def test_headers_of_the_allowed_size_pass(service, monkeypatch):
    async with serving(service, monkeypatch) as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nx: " + b"y" * (MAX_HEAD - 100) + b"\r\n\r\n")
        assert (await answer(reader))[0] == 200
