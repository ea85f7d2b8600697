"""How a field is written, whatever it says: punctuation, symbols, capitals, left-overs of the template, language."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import NamedTuple

import regex
from opencc import OpenCC

from adtext.contacts import phones
from adtext.fold import Span, Views
from adtext.grounding import Facts
from adtext.spec import DYNAMIC
from adtext.words import each, english_words

Match = tuple[str, Span]  # (rule, raw span)


class _Form(NamedTuple):
    """A rule and its pattern. Every match holds the hint, which one fast scan finds: most texts stop there."""

    rule: str
    hint: re.Pattern[str]
    pattern: re.Pattern[str] | regex.Pattern[str]


def editorial(text: Views, known: Facts, locale: str, *, max_exclamations: int) -> Iterator[Match]:
    """Findings of one field's form, whatever its platform."""
    raw, folded = text.raw, text.folded
    for rule, hint, pattern in _RAW_FORMS:
        if hint.search(raw):
            for match in pattern.finditer(raw):
                yield rule, Span(*match.span())
    for rule, hint, pattern in _FOLDED_FORMS:
        if hint.search(folded.text):
            for match in pattern.finditer(folded.text):
                yield rule, folded.raw_span(*match.span())
    for start, end in phones(folded.text):
        yield "phone_number", folded.raw_span(start, end)
    words = folded.text.replace(",", " ").split()
    if len(words) > len(set(words)) + 1:
        for repeated in _REPEATED_WORDS.finditer(folded.text):
            yield "repeated_words", folded.raw_span(*repeated.span())
        yield from _repeated_phrases(text)
    exclamations = [Span(*match.span()) for match in _EXCLAMATION.finditer(raw)]
    for span in exclamations[max_exclamations:]:
        yield "too_many_exclamations", span
    yield from _shouting(raw, known)
    yield from _unfinished(raw, locale)


def language(text: Views, known: Facts, locale: str) -> Iterator[Match]:
    """Findings of one field that is not in the brief's language. Names and words of the brief itself are at home in
    any.
    """
    spoken = locale[:2]
    if text.raw.isascii() and spoken == "en":
        return
    for foreign in _FOREIGN[spoken].finditer(text.raw) if _UNUSUAL[spoken].search(text.raw) else ():
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
    # what folding left alone holds nothing traditional
    if spoken == "zh" and (locale == "zh-TW" or text.folded.text != text.raw):
        changed = [
            at
            for at, char in enumerate(text.raw)
            if char >= "\u3400" and _other_script(char, locale) and char not in known.own
        ]
        if len(changed) > 1:  # one alone may be a name
            yield "wrong_script", Span(changed[0], changed[-1] + 1)


# ---- patterns over the raw text

_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_RAW_FORMS = [
    _Form("control_character", _INVISIBLE, _INVISIBLE),
    _Form(
        "repeated_punctuation",
        re.compile(r"[^\w\s]{2}"),
        re.compile(
            r"[!！]{2,}|[?？]{2,}|[!?！？]{3,}|([,，。;；:：、~～#$%&=+^|<>@·])\1+|(?<!\.)\.\.(?!\.)|\.{4,}|…{3,}|[—-]{3,}"
        ),
    ),
    _Form(
        "placeholder",
        re.compile(r"[{\[%某○〇×]|[xX]{2}"),
        re.compile(
            r"\{(?!(?i:keyword:|=?countdown\())[^{}]{0,40}\}|某某|[○〇×]{2,}|%[sd]\b"
            r"|(?<![a-z])x{2,}(?![a-z]|[ -](?:large|small))"
            r"|\[(?:your|insert|brand|company|product|city|name|keyword|price|number|link|url|advertiser|business|x+"
            r"|品牌|公司|产品|商品|城市|名称|价格|关键词|会社|店名|ブランド)[^\[\]]{0,30}\]",
            re.IGNORECASE,
        ),
    ),
    _Form("dynamic_text", re.compile(r"\{"), DYNAMIC),
    _Form(
        "markup",
        re.compile(r"[*_`\]#•>&<\\]|^\s*-"),
        re.compile(
            r"(?<![\w*])\*\*(?=\w)|__|`|\]\(|(?:^|\s)#{1,6}\s|^\s*[-*•>]\s|</?[A-Za-z][^<>]*>"
            r"|&(?:amp|lt|gt|quot|nbsp|#[0-9]+);|\\[nrt]"
        ),
    ),
    _Form(
        "label_left_over",
        re.compile(r"[:：]"),
        re.compile(
            r"(?:^|[\s|.。!！])(?:title|headline|description(?: ?[0-9])?|ad copy|标题|描述[0-9一二]?|广告语|タイトル"
            r"|説明文[0-9]?) ?[:：]",
            re.IGNORECASE,
        ),
    ),
    _Form(
        "emoji",
        _NOT_ASCII,
        regex.compile(
            r"(?V1)[[\p{Emoji_Presentation}\p{Extended_Pictographic}]--[©®™‼⁉〰〽㊗㊙★☆↔-↙↩↪]]|\p{Regional_Indicator}"
        ),
    ),
    _Form(
        "gimmicky_symbol",
        re.compile(r"[@$]"),
        re.compile(r"(?<![\w.@$-])[A-Za-z]+[@$][a-z]{2,}(?![\w-]*\.[a-z])(?![\w-]*@)"),
    ),
    _Form("gimmicky_symbol", _NOT_ASCII, re.compile(r"[★☆♥♡♪♫◆◇■□●◎▲△▼▽←-⇿✓✗✘‼⁉]+")),
    _Form("half_width_katakana", _NOT_ASCII, re.compile(r"[\uff66-\uff9f]+")),
]
_FOLDED_FORMS = [
    _Form(
        "repeated_words",
        re.compile(r"[\u3041-\u9fff]"),
        re.compile(r"([\u3041-\u30fe\u4e00-\u9fff]{2,4})\1{2,}|([\u3041-\u3096\u4e00-\u9fff])\2{3,}"),
    ),
]
_REPEATED_WORDS = re.compile(
    r"\b([a-z]{2,}+)(?:(?: \1\b){2,}|(?:[ ,]+\1\b){3,})"
)  # yes, yes, yes is a figure of speech
_EXCLAMATION = re.compile(r"[!！]")
_LATIN_UNIT = re.compile(r"[a-z0-9][a-z0-9.'’-]*")


def _repeated_phrases(text: Views) -> Iterator[Match]:
    """Three words that stand three times or come straight after themselves, and two words from the fourth time on: a
    weak model's loop, nothing a copywriter does. A phrase that returns once is a figure of speech.
    """
    words = list(_LATIN_UNIT.finditer(text.folded.text))
    for length, allowed in ((3, 2), (2, 3)):
        seen: dict[tuple[str, ...], list[int]] = {}
        for at in range(len(words) - length + 1):
            run = words[at : at + length]
            phrase = tuple(word.group().rstrip(".") for word in run)
            before = seen.setdefault(phrase, [])
            before.append(at)
            follows = length == 3 and len(before) > 1 and at - before[-2] <= _STRAIGHT_AFTER
            if len(before) > allowed or (follows and _is_said_again(words, before[-2], at)):
                yield "repeated_words", text.folded.raw_span(run[0].start(), run[-1].end())


_STRAIGHT_AFTER = 6  # words


def _is_said_again(words: list[re.Match[str]], first: int, second: int) -> bool:
    """True where the words between the two places are repeated word by word."""
    size = second - first
    return [word.group() for word in words[first:second]] == [word.group() for word in words[second : second + size]]


# ---- capitals

_RUN_OF_CAPITALS = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2,}(?:[ ,&'-]+[A-Z]+(?![A-Za-z0-9]))*(?![A-Za-z0-9])")
_SPELLED_OUT = re.compile(r"(?<![A-Za-z])(?:[A-Za-z][.\-_* ]){3,}[A-Za-z](?![A-Za-z])")  # S.A.L.E, b_o_o_t_s
_ALTERNATING = re.compile(
    r"(?<![A-Za-z])(?:(?:[A-Z][a-z]){2,}[A-Z]|(?:[a-z][A-Z]){2,}[a-z]?)[a-z]?(?![A-Za-z])"
)  # FlOwErS
_DOTTED_ACRONYM = re.compile(r"(?:[A-Z]\.){2,4}[A-Z]")
_TWO_CAPITALS = re.compile(r"[A-Z]{2}")
_CAPITAL_WORD = re.compile(r"[A-Z]{2,}")
_SHORT_WORDS = frozenset(
    each(
        "ACT ALL AND ANY BIG BUY CUT DAY FOR GET HOT LOW NEW NOW OFF ON ONE OUR SEE THE TO TOP TRY UP WIN YES YOU IN "
        "IT IS AT BY GO DO MY NO OF OR"
    )
)
_ACRONYMS = frozenset(
    tomllib.loads(resources.files("adtext").joinpath("acronyms.toml").read_text(encoding="utf-8"))["words"]
)


def _shouting(raw: str, known: Facts) -> Iterator[Match]:
    """Words in capitals that are neither acronyms nor the advertiser's own spelling; two short ones in a row count
    like a long one.
    """
    for match in _RUN_OF_CAPITALS.finditer(raw) if _TWO_CAPITALS.search(raw) else ():
        words = _CAPITAL_WORD.findall(match.group())
        loud = [word for word in words if word not in _ACRONYMS and not _is_own_spelling(word, len(words), known)]
        if any(len(word) > 3 for word in loud) or sum(word in _SHORT_WORDS for word in loud) > 1:
            yield "shouting", Span(*match.span())
    for match in _SPELLED_OUT.finditer(raw):
        letters = "".join(filter(str.isalpha, match.group()))
        is_an_acronym = _DOTTED_ACRONYM.fullmatch(match.group()) and letters.lower() not in english_words()
        if not is_an_acronym and match.group().casefold() not in known.names:
            yield "shouting", Span(*match.span())
    for match in _ALTERNATING.finditer(raw):
        if not any(match.group() in name for name in known.spellings):
            yield "shouting", Span(*match.span())


def _is_own_spelling(word: str, run: int, known: Facts) -> bool:
    """True for a name, an acronym that the brief writes, or one word that the ad's own facts stress."""
    if any(word in name for name in known.spellings):
        return True
    return word in known.capitals and (run == 1 or word.lower() not in english_words())


def _unfinished(raw: str, locale: str) -> Iterator[Match]:
    """A field that stops in the middle of a sentence: with a comma, or a word that needs another."""
    match = _BROKEN_OFF[locale[:2]].search(raw)
    if match:
        yield "unfinished", Span(match.start(), len(raw))


_BROKEN_OFF = {
    "en": re.compile(r"(?:\b(?i:a|an|the|and|or|your|our|but|because|including|their|its|my|per|than)|,|;) ?[.,]?\s*$"),
    "zh": re.compile(r"(?:[，、；：]|(?:以及|并且|而且|或者|因为|为了|比如|例如|通过|关于)[，。]?)\s*$"),
    "ja": re.compile(r"[、；・]\s*$|(?:および|または|ならびに|例えば|そして)[、。]?\s*$"),
}


# ---- languages

# letters that the language does not write; one Greek letter (α, µ) and a decorative の are common property
_FOREIGN = {
    "en": regex.compile(r"(?V1)[[\p{L}]--[\p{Latin}\p{Greek}ªº]]+|\p{Greek}{2,}"),
    "zh": regex.compile(
        r"(?V1)[[\p{L}]--[\p{Latin}\p{Greek}\p{Han}\u3041-\u30ff\uff66-\uff9f]]+|\p{Greek}{2,}|[\u3041-\u30ff]{2,}"
    ),
    "ja": regex.compile(r"(?V1)[[\p{L}]--[\p{Latin}\p{Greek}\p{Han}\u3041-\u30ff\uff66-\uff9f]]+|\p{Greek}{2,}"),
}
_UNUSUAL = {  # a fast scan for what the patterns above look for
    "en": re.compile(r"[^\x00-\xff\u2000-\u206f]"),
    "zh": re.compile(r"[^\x00-\xff\u2000-\u206f\u3000-\u3040\u4e00-\u9fff\uff00-\uff65]"),
    "ja": re.compile(r"[^\x00-\xff\u2000-\u206f\u3000-\u30ff\u4e00-\u9fff\uff00-\uff65]"),
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
