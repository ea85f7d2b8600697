"""Reads the answer of a policy server within limits of time, size and structure.

The server is not trusted: whatever it sends, the worst outcome is that no text is written.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

import httpx

MAX_ANSWER = 1024 * 1024  # bytes: sixteen texts need a fiftieth of it
BODY_S = 5.0  # seconds from the headers to the last byte: the text is complete before the headers are sent


class UnusableAnswer(ValueError):
    """The answer is invalid. The message does not quote it."""


class Completions(NamedTuple):
    texts: list[str]  # whole ones
    cut: int  # cut off by the token limit: candidates that are never kept


async def post(http: httpx.AsyncClient, path: str, body: object, timeout_s: float) -> bytes:
    """The body of a successful answer. Raises UnusableAnswer, TimeoutError or httpx.HTTPError.

    Compression is declined, and a compressed answer is refused: data that is never decompressed cannot exhaust memory.
    """
    async with (
        asyncio.timeout(timeout_s),
        http.stream("POST", path, json=body, headers={"Accept-Encoding": "identity"}) as answer,
    ):
        answer.raise_for_status()
        if (encoding := answer.headers.get("content-encoding", "identity").lower()) != "identity":
            raise UnusableAnswer(f"the answer is compressed ({encoding[:20]}), which was not requested")
        received = bytearray()
        async with asyncio.timeout(BODY_S):
            async for piece in answer.aiter_raw():
                received += piece
                if len(received) > MAX_ANSWER:
                    raise UnusableAnswer(f"the answer has more than {MAX_ANSWER} bytes")
        return bytes(received)


def completions(payload: bytes, asked: int) -> Completions:
    """The texts of a chat completion of `asked` samples. Raises UnusableAnswer."""
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer(f"the answer is not JSON ({type(error).__name__})") from None
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list):
        raise UnusableAnswer("the answer has no list of choices")
    if len(choices) > asked:
        raise UnusableAnswer(f"the answer holds {len(choices)} choices where {asked} were asked for")
    written = [_content(choice) for choice in choices]
    whole = [text for text, choice in zip(written, choices, strict=True) if choice.get("finish_reason") != "length"]
    return Completions(whole, len(written) - len(whole))


def _content(choice: Any) -> str:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise UnusableAnswer("a choice has no message")
    content = message.get("content")
    if content is None:
        return ""
    if not isinstance(content, str):
        raise UnusableAnswer(f"a message's content is a {type(content).__name__}, not a text")
    return content
