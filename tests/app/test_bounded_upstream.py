"""A policy server that answers without end, without shape or without haste costs a text, and nothing else."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
from collections.abc import AsyncIterator

import pytest
from service import BOOTS, Generate, a_request

from adtext.brief import AdBrief
from adtext.spec import load_spec
from app.core.logs import JsonFormatter
from app.core.settings import Settings
from app.policies import bounded
from app.policies.base import WriterUnavailable
from app.policies.vllm_http import VllmWriter
from benchmarks.hostile_upstream import GZIP, OK, answering, choices, dripping, dripping_body, endless, whole
from trainer.registry import PolicyVersion

POLICY = PolicyVersion(version="relate-20261129-1f3a", kind="vllm", locales=("en-GB",), model="relate")


async def nothing(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n")


UNUSABLE = {
    "a list as content": whole(choices(["Title: Boots"])),
    "a number as content": whole(choices(7)),
    "an object as content": whole(choices({"text": "靴"})),
    "no list of choices": whole(b'{"choices": {"message": 1}}'),
    "a list": whole(b"[1]"),
    "choices that are numbers": whole(b'{"choices": [1, 2]}'),
    "20,000 choices": whole(choices(*["Title: 靴"] * 20_000)),
    "no JSON": whole("标题：靴子".encode()),
    "half a character": whole(b'{"choices": "\xe9\x9d"}'),
    "deep JSON": whole(b"[" * 100_000),
    "compressed": whole(gzip.compress(b" " * 10_000_000), GZIP),
    "more than a megabyte": whole(b" " * (bounded.MAX_ANSWER + 1)),
    "an endless body": endless,
    "a body that drips": dripping_body(0.01),
    "headers that drip": dripping(OK, b"x: y\r\n", 0.01),
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
    async with answering(whole(choices("Title: Boots", None))) as url:
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
