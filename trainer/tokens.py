"""Control tokens of a tokenizer, and the tokens that end a turn. Light: no torch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import regex

from adtext.prompt import bracketed
from trainer.config import ConfigError

_WORDS = regex.compile(r"[\p{L}\p{N}\s]*")


@lru_cache(maxsize=4)
def control_tokens(tokenizer: Any) -> tuple[str, ...]:
    """The tokenizer's own added tokens that control a chat, longest first. Added words and added spaces are text."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if _controls(token)}
    return tuple(sorted(added, key=lambda token: (-len(token), token)))


def unbracketed(tokenizer: Any) -> tuple[str, ...]:
    """The control tokens without brackets: `adtext.prompt.render` does not recognise them and must be given them."""
    return tuple(token for token in control_tokens(tokenizer) if not bracketed(token))


def literal_ids(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text in which nothing is a control token: <think> is encoded as seven characters."""
    ids: list[int] = []
    for piece in _pieces(text, control_tokens(tokenizer)):
        ids += tokenizer(piece, add_special_tokens=False)["input_ids"]
    return ids


def end_of_text(tokenizer: Any) -> int:
    """The id that training writes at the end of a text."""
    if tokenizer.eos_token_id is None:
        raise ConfigError(
            f"{tokenizer.name_or_path}: the tokenizer has no end-of-text token, so no text of its policy would ever end"
        )
    return int(tokenizer.eos_token_id)


def ends_of_text(tokenizer: Any, generation: Any = None) -> frozenset[int]:
    """Every id that ends a text: the tokenizer's own, and those of the model's generation config, as a server stops."""
    declared = getattr(generation, "eos_token_id", None)
    declared = [declared] if isinstance(declared, int) else declared or []
    return frozenset({end_of_text(tokenizer), *declared})


def _controls(token: Any) -> bool:
    """True for a special token, or one that is not a plain word: <think> is not marked special in Qwen3."""
    content = token.content
    return len(content) > 1 and not content.isspace() and (token.special or not _WORDS.fullmatch(content))


def _pieces(text: str, tokens: tuple[str, ...]) -> list[str]:
    """The text split after the first character of every control token in it."""
    pieces, start, at = [], 0, 0
    while at < len(text):
        if any(text.startswith(token, at) for token in tokens):
            pieces.append(text[start : at + 1])
            start = at + 1
        at += 1
    return [*pieces, text[start:]] if text[start:] or not pieces else pieces
