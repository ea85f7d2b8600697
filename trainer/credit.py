"""Spans → sampled tokens → token rewards, exact to the byte (RELATE §3.4.1, eq. 5).

A finding's span counts code points of one field's value. A token is some bytes of the completion; one Chinese
character may take three tokens. Spans and tokens are therefore compared in UTF-8 bytes of the completion, counted over
the sampled ids. The text is never tokenised again, because that could give other tokens than the sampled ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adtext.brief import AdText
from adtext.fold import Span

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


class ByteSpan(NamedTuple):
    """A half-open range of UTF-8 bytes of a completion."""

    start: int
    end: int


def charge(spans: Sequence[ByteSpan], token_ends: IntArray, penalty: float) -> FloatArray:
    """Charge each finding to the tokens that wrote it: r_t = -λ · 1[token t overlaps a span]   (RELATE eq. 5).

    spans [S] half-open UTF-8 byte ranges (one Chinese character may take several tokens); token_ends [T] running byte
    length; returns [T]. A token without bytes (end-of-text) overlaps nothing, and a token under several spans pays
    once.
    """
    token_starts = np.concatenate(([0], token_ends))[:-1]
    hit = np.zeros(len(token_ends), dtype=bool)
    for span in spans:
        hit |= np.maximum(token_starts, span.start) < np.minimum(token_ends, span.end)
    return np.where(hit, -penalty, 0.0).astype(np.float32)


def token_rewards(
    tokenizer: PreTrainedTokenizerFast,
    ids: Sequence[int],
    text: AdText | None,
    charges: Iterable[tuple[Mapping[str, Sequence[Span]], float]],
) -> FloatArray:
    """r_t = Σ over kinds of -λ_kind · 1[token t overlaps a span of that kind]   (RELATE eq. 5); returns [T].

    text: the ad text that the ids parse to; None where they do not parse, and then nothing is charged. charges: one
    pair per kind of (spans by field, in code points of the field's value; penalty λ).
    """
    raw = sampled_bytes(tokenizer, ids)
    starts = code_point_starts(raw)
    offsets = field_offsets(raw.decode("utf-8", "replace"), text) if text else {}
    ends = token_ends(tokenizer, ids)
    rewards = np.zeros(len(ids), dtype=np.float32)
    for spans_by_field, penalty in charges:
        spans = [
            byte_span(starts, span, offsets[field])
            for field, spans in spans_by_field.items()
            if field in offsets
            for span in spans
        ]
        rewards += charge(spans, ends, penalty)
    return rewards


# ---- tokens → bytes


def token_ends(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> IntArray:
    """Running UTF-8 byte length after each sampled id. Special tokens are not in the text and add 0. Returns [T]."""
    pieces = _bytes_by_id(tokenizer)
    return np.cumsum([len(pieces.get(token, b"")) for token in ids], dtype=np.int64)


def sampled_bytes(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> bytes:
    """The bytes of the ids. They need not be whole characters: a text cut at the token limit may end inside one."""
    pieces = _bytes_by_id(tokenizer)
    return b"".join(pieces.get(token, b"") for token in ids)


@lru_cache(maxsize=4)
def _bytes_by_id(tokenizer: PreTrainedTokenizerFast) -> dict[int, bytes]:
    """The bytes that each id of a byte-level vocabulary stands for. ValueError for another kind of vocabulary."""
    from tokenizers.decoders import ByteLevel
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    if not isinstance(tokenizer.backend_tokenizer.decoder, ByteLevel):
        raise ValueError(
            f"{tokenizer.name_or_path}: no byte-level BPE, so the bytes of its tokens cannot be counted; use one "
            "(Qwen, Llama 3, SmolLM)"
        )
    byte_of = {char: byte for byte, char in bytes_to_unicode().items()}  # type: ignore[no-untyped-call]
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    pieces = {number: _piece(token, byte_of) for token, number in vocabulary.items()}
    return pieces | {number: b"" for number, token in tokenizer.added_tokens_decoder.items() if token.special}


def _piece(token: str, byte_of: Mapping[str, int]) -> bytes:
    """The bytes of a vocabulary entry as the byte-level decoder reads it: one byte per character. A character that
    stands for no byte (in an added token) is encoded in UTF-8.
    """
    if all(char in byte_of for char in token):
        return bytes(byte_of[char] for char in token)
    return token.encode()


# ---- code points → bytes


def code_point_starts(raw: bytes) -> IntArray:
    """Where each code point of raw.decode("utf-8", "replace") starts in raw, and last where raw ends: [len(text) + 1].

    A replacement character stands for as many bytes as the decoder could not decode: one to three, not its own three.
    """
    starts: list[int] = []
    position = 0
    while position < len(raw):
        try:
            whole, broken = raw[position:].decode(), 0
        except UnicodeDecodeError as error:
            whole, broken = raw[position : position + error.start].decode(), error.end - error.start
        for char in whole:
            starts.append(position)
            position += len(char.encode())
        if broken:
            starts.append(position)
            position += broken
    return np.array([*starts, len(raw)], dtype=np.int64)


def byte_span(starts: IntArray, span: Span, offset: int = 0) -> ByteSpan:
    """The bytes of a span of code points that starts at code point `offset` of the completion. starts: the result of
    `code_point_starts`.
    """
    return ByteSpan(int(starts[offset + span.start]), int(starts[offset + span.end]))


_LABEL = re.compile(r"[^:：\n]*[:：][^\S\n]*")


def field_offsets(completion: str, text: AdText) -> dict[str, int]:
    """Where each field's value starts in the completion that `text` was parsed from, in code points."""
    offsets: dict[str, int] = {}
    start = len(completion) - len(completion.lstrip())
    for (field, _), line in zip(text.fields(), completion.strip().split("\n"), strict=True):
        label = _LABEL.match(line)
        assert label is not None  # it parsed
        offsets[field] = start + label.end()
        start += len(line) + 1
    return offsets
