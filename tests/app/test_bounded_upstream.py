"""A policy server that answers without end, without shape or without haste costs a text, and nothing else."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from service import BOOTS, Generate, a_request

from adtext.brief import AdBrief
from adtext.spec import load_spec
from app.core.logs import JsonFormatter
from app.core.settings import Settings
from app.policies import bounded
from app.policies.base import WriterUnavailable
from app.policies.vllm_http import VllmWriter
from trainer.registry import PolicyVersion

POLICY = PolicyVersion(version="relate-20261129-1f3a", kind="vllm", locales=("en-GB",), model="relate")
Send = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@asynccontextmanager
async def answering(send: Send) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await send(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the service hung up
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def whole(payload: bytes, headers: bytes = b"") -> Send:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(OK + headers + b"content-length: %d\r\n\r\n" % len(payload) + payload)
        await writer.drain()

    return send


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"\r\n")
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"content-length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def dripping_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    while True:
        writer.write(b"x: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def nothing(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n")


def saying(*contents: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}} for content in contents]}).encode()


UNUSABLE = {
    "a list as content": whole(saying(["Title: Boots"])),
    "a number as content": whole(saying(7)),
    "an object as content": whole(saying({"text": "靴"})),
    "no list of choices": whole(b'{"choices": {"message": 1}}'),
    "a list": whole(b"[1]"),
    "choices that are numbers": whole(b'{"choices": [1, 2]}'),
    "20,000 choices": whole(saying(*["Title: 靴"] * 20_000)),
    "no JSON": whole("标题：靴子".encode()),
    "half a character": whole(b'{"choices": "\xe9\x9d"}'),
    "deep JSON": whole(b"[" * 100_000),
    "compressed": whole(gzip.compress(b" " * 10_000_000), b"content-encoding: gzip\r\n"),
    "more than a megabyte": whole(b" " * (bounded.MAX_ANSWER + 1)),
    "an endless body": endless,
    "a body that drips": dripping,
    "headers that drip": dripping_headers,
    "status 500": nothing,
}


@pytest.mark.parametrize("send", UNUSABLE.values(), ids=UNUSABLE)
async def test_an_unusable_answer_is_an_unavailable_writer_with_a_logged_reason(send, monkeypatch):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    monkeypatch.setattr(bounded, "BODY_S", 0.1)
    logger = logging.getLogger("app.policies.vllm_http")
    logger.addHandler(handler)
    async with answering(send) as url:
        writer = VllmWriter(POLICY, url, timeout_s=0.3, concurrency=2)
        with pytest.raises(WriterUnavailable):
            await asyncio.wait_for(writer.write(AdBrief.model_validate(BOOTS), load_spec("generic"), n=2, seed=1), 5)
        assert writer.down
        await writer.close()
    logger.removeHandler(handler)
    line = json.loads(stream.getvalue())
    assert (line["message"], line["policy"], line["endpoint"].rstrip("/")) == (
        "policy server failed",
        POLICY.version,
        url,
    )
    assert line["reason"]


async def test_fewer_choices_and_empty_ones_are_an_answer():
    async with answering(whole(saying("Title: Boots", None))) as url:
        writer = VllmWriter(POLICY, url, timeout_s=5, concurrency=2)
        draft = await writer.write(AdBrief.model_validate(BOOTS), load_spec("generic"), n=4, seed=1)
        assert list(draft.completions) == ["Title: Boots", ""]
        await writer.close()


class TestServing:
    @pytest.fixture
    async def settings(self, settings: Settings) -> AsyncIterator[Settings]:
        async with answering(UNUSABLE["a list as content"]) as url:
            yield settings.model_copy(update={"policy_url": url})

    async def test_the_advertisers_text_is_served_instead(self, generate: Generate) -> None:
        answer = await generate(a_request())
        assert ([text["source"] for text in answer["texts"]], answer["reason"]) == (
            ["advertiser"],
            "policy_unavailable",
        )
