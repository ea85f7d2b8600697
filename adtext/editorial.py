"""How a field is written, whatever it says: punctuation, symbols, capitals, left-overs of the template, language."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources

import regex
from opencc import OpenCC

from adtext.fold import Span, Views
from adtext.grounding import Facts

Match = tuple[str, Span]  # (rule, raw span)


def editorial(text: Views, known: Facts, *, max_exclamations: int) -> Iterator[Match]:
    """Findings of one field that do not depend on its language."""
    raw = text.raw
    for rule, pattern in _RAW:
        for match in pattern.finditer(raw):
            yield rule, Span(*match.span())
    if not raw.isascii():
        for rule, sign in _SIGNS:
            for found in sign.finditer(raw):
                yield rule, Span(*found.span())
    for match in _REPEATED_WORDS.finditer(text.folded.text):
        yield "repeated_words", text.folded.raw_span(*match.span())
    if _DIGIT.search(text.folded.text):
        for match in _PHONE.finditer(text.folded.text):
            yield "phone_number", text.folded.raw_span(*match.span())
    exclamations = [Span(*match.span()) for match in _EXCLAMATION.finditer(raw)]
    for span in exclamations[max_exclamations:]:
        yield "too_many_exclamations", span
    yield from _shouting(raw, known)


def language(text: Views, known: Facts, locale: str) -> Iterator[Match]:
    """Findings of one field that is not in the brief's language. Names and words of the brief itself are at home in any."""
    spoken = locale[:2]
    if text.raw.isascii() and spoken == "en":
        return
    for foreign in _FOREIGN[spoken].finditer(text.raw):
        if foreign.group().casefold() not in known.own:
            yield "wrong_language", Span(*foreign.span())
    if spoken != "en" and not _EAST_ASIAN.search(text.raw):
        strange = [word for word in _LATIN_WORD.findall(text.folded.text) if word not in known.own]
        if len(strange) > 1:
            yield "wrong_language", Span(0, len(text.raw))
    if spoken == "ja":
        for at, char in enumerate(text.raw):
            if char >= "\u3400" and not _in_japanese(char) and char not in known.own:
                yield "wrong_language", Span(at, at + 1)
    if spoken == "zh":
        changed = [at for at, char in enumerate(text.raw) if char >= "\u3400" and _other_script(char, locale) and char not in known.own]
        if len(changed) > 1:  # one alone may be a name
            yield "wrong_script", Span(changed[0], changed[-1] + 1)


# ---- patterns over the raw text

_RAW: list[tuple[str, re.Pattern[str]]] = [
    ("control_character", re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")),
    ("repeated_punctuation", re.compile(r"[!?！？]{2,}|([,，。;；:：、~～#$%&=+^|<>@·])\1+|(?<!\.)\.\.(?!\.)|\.{4,}|…{3,}|[—-]{3,}")),
    (
        "placeholder",
        re.compile(
            r"\{[^{}]{0,40}\}|\[(?:your|insert|brand|company|product|city|name|keyword|price|number|link|url|advertiser|business|x+"
            r"|品牌|公司|产品|商品|城市|名称|价格|关键词|会社|店名|ブランド)[^\[\]]{0,30}\]"
            r"|(?<![a-z])x{2,}(?![a-z]|[ -](?:large|small))|某某|[○〇×]{2,}"
            r"|lorem ipsum|your [a-z]+ here\b|insert [a-z ]{1,20} here\b|\b(?:tbd|undefined|placeholder)\b|%[sd]\b",
            re.IGNORECASE,
        ),
    ),
    ("markup", re.compile(r"\*\*|__|`|\]\(|(?:^|\s)#{1,6}\s|^\s*[-*•>]\s|</?[A-Za-z][^<>]*>|&(?:amp|lt|gt|quot|nbsp|#[0-9]+);|\\[nrt]")),
    (
        "label_left_over",
        re.compile(
            r"(?:^|[\s|.。!！])(?:title|headline|description(?: ?[0-9])?|ad copy|标题|描述[0-9一二]?|广告语|タイトル|説明文[0-9]?) ?[:：]",
            re.IGNORECASE,
        ),
    ),
]
_SIGNS: list[tuple[str, regex.Pattern[str]]] = [
    ("emoji", regex.compile(r"(?V1)[[\p{Emoji_Presentation}\p{Extended_Pictographic}]--[©®™‼⁉〰〽㊗㊙★☆↔-↙↩↪]]|\p{Regional_Indicator}")),
    ("gimmicky_symbol", regex.compile(r"[★☆♥♡♪♫◆◇■□●◎▲△▼▽←-⇿✓✗✘‼⁉]+")),
    ("half_width_katakana", regex.compile(r"[\uff66-\uff9f]+")),
]
_REPEATED_WORDS = re.compile(
    r"\b([a-z]{2,}+)(?:[ ,]+\1\b){2,}|([\u3041-\u30fe\u4e00-\u9fff]{2,4})\2{2,}|([\u3041-\u3096\u4e00-\u9fff])\3{3,}"
)
_EXCLAMATION = re.compile(r"[!！]")
_DIGIT = re.compile(r"[0-9]")
_PHONE = re.compile(
    r"(?<![0-9.,])(?:\+[0-9]{1,3}[ -]?)?(?:"
    r"1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}"  # China, mobile
    r"|\(?0[0-9]{1,3}\)?[ -]?[0-9]{3,4}[ -]?[0-9]{4}|0[0-9]{3}-[0-9]{3}-[0-9]{3}"  # China, Japan, United Kingdom
    r"|[48]00[ -]?[0-9]{3,4}[ -]?[0-9]{3,4}"  # service numbers
    r"|(?:1[ -])?\(?[2-9][0-9]{2}\)?[ .-][0-9]{3}[ .-][0-9]{4}|1[ -]8[0-9]{2}[ -][a-z]{4,8}"  # North America
    r")(?![0-9])"
)

# ---- capitals

_RUN_OF_CAPITALS = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2,}(?:[ ,&'-]+[A-Z]+(?![A-Za-z0-9]))*(?![A-Za-z0-9])")
_SPELLED_OUT = re.compile(
    r"(?<![A-Za-z])(?:(?:[A-Za-z][.\-_* ]){3,}[A-Za-z](?![A-Za-z])|(?:[A-Z][a-z]){3,}[A-Z](?![A-Za-z]))"
)  # S.A.L.E, FlOwErS
_CAPITAL_WORD = re.compile(r"[A-Z]{2,}")
_SHORT_WORDS = frozenset(
    ["ACT", "ALL", "AND", "ANY", "BIG", "BUY", "CUT", "DAY", "FOR", "GET", "HOT", "LOW", "NEW", "NOW", "OFF", "ON", "ONE", "OUR"]
)
_SHORT_WORDS |= frozenset(
    ["SEE", "THE", "TO", "TOP", "TRY", "UP", "WIN", "YES", "YOU", "IN", "IT", "IS", "AT", "BY", "GO", "DO", "MY", "NO", "OF", "OR"]
)
_ACRONYMS = frozenset(tomllib.loads(resources.files("adtext").joinpath("acronyms.toml").read_text(encoding="utf-8"))["words"])


def _shouting(raw: str, known: Facts) -> Iterator[Match]:
    """Words in capitals that are neither acronyms nor the advertiser's own spelling; two short ones in a row count like a long one."""
    for match in _RUN_OF_CAPITALS.finditer(raw):
        loud = [word for word in _CAPITAL_WORD.findall(match.group()) if word not in _ACRONYMS and word not in known.capitals]
        if any(len(word) > 3 for word in loud) or sum(word in _SHORT_WORDS for word in loud) > 1:
            yield "shouting", Span(*match.span())
    for match in _SPELLED_OUT.finditer(raw):
        if match.group().casefold() not in known.own:
            yield "shouting", Span(*match.span())


# ---- languages

_FOREIGN = {  # letters that the language does not write; one Greek letter (α, µ) and a decorative の are common property
    "en": regex.compile(r"(?V1)[[\p{L}]--[\p{Latin}\p{Greek}ªº]]+|\p{Greek}{2,}"),
    "zh": regex.compile(r"(?V1)[[\p{L}]--[\p{Latin}\p{Greek}\p{Han}\u3041-\u30ff\uff66-\uff9f]]+|\p{Greek}{2,}|[\u3041-\u30ff]{2,}"),
    "ja": regex.compile(r"(?V1)[[\p{L}]--[\p{Latin}\p{Greek}\p{Han}\u3041-\u30ff\uff66-\uff9f]]+|\p{Greek}{2,}"),
}
_EAST_ASIAN = re.compile(r"[\u3041-\u30ff\u3400-\u9fff\uff66-\uff9f\U00020000-\U0003ffff]")
_LATIN_WORD = re.compile(r"[a-z]{2,}")


@cache
def _in_japanese(char: str) -> bool:
    """False for a character that Japanese does not write, such as 们: one outside Windows-31J."""
    try:
        return bool(char.encode("cp932"))
    except UnicodeEncodeError:
        return not _EAST_ASIAN.match(char)


@cache
def _converter(config: str) -> OpenCC:
    return OpenCC(config)


@cache
def _other_script(char: str, locale: str) -> bool:
    """True for a traditional character in zh-CN, and a simplified one in zh-TW."""
    return bool(_converter("s2t" if locale == "zh-TW" else "t2s").convert(char) != char)
