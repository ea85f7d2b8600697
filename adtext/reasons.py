"""Findings of the rules that are code: their reasons, sources and severities. The packs carry their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from adtext.fold import Span, fold
from adtext.lexicon import Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule broken at one place."""

    rule: str  # a name in RULES
    field: str  # title, description or description_2
    span: Span  # half-open code points of the raw value
    quote: str  # value[span.start : span.end]
    severity: Severity  # block: never shown; review: shown to a person first; warn: noted
    reason: str
    source: str  # the law or policy
    suggestion: str | None = None  # what to write instead of the quote, where an honest replacement exists


class _Words(NamedTuple):
    reason: str
    source: str
    severity: Severity = "block"


_GOOGLE = "Google Ads policies, Editorial"
_BRIEF = "The brief: a text states nothing that its advertiser did not"
_SPEC = "The platform's text specification"
_TEMPLATE = "RELATE's two-field template"
_CODED = {
    "too_short": _Words("shorter than the platform accepts", _SPEC),
    "too_long": _Words("longer than the platform accepts", _SPEC),
    "missing_field": _Words("empty, but the platform requires it", _SPEC),
    "extra_field": _Words("the platform has no such field", _SPEC),
    "control_character": _Words("a control, line-break or invisible character", _TEMPLATE),
    "repeated_punctuation": _Words("repeated punctuation", f"{_GOOGLE}: punctuation and symbols"),
    "too_many_exclamations": _Words(
        "more exclamation marks than the platform accepts", f"{_GOOGLE}: punctuation and symbols"
    ),
    "repeated_words": _Words("the same words again and again", f"{_GOOGLE}: repetition"),
    "repeated_field": _Words("says the same as a field before it", f"{_GOOGLE}: repetition"),
    "emoji": _Words("an emoji", f"{_GOOGLE}: punctuation and symbols"),
    "gimmicky_symbol": _Words("a symbol used for attention", f"{_GOOGLE}: punctuation and symbols"),
    "half_width_katakana": _Words("half-width katakana", f"{_GOOGLE}: half-width characters (Japanese)"),
    "shouting": _Words("capitals or spacing used for attention", f"{_GOOGLE}: capitalization, spacing"),
    "phone_number": _Words("a phone number in the text", f"{_GOOGLE}: phone number in ad text"),
    "placeholder": _Words("a placeholder that was not filled in", _TEMPLATE),
    "dynamic_text": _Words("text that the platform fills in", "Google Ads: keyword insertion, countdown", "review"),
    "markup": _Words("left-over markup", _TEMPLATE),
    "label_left_over": _Words("a label of the template inside the text", _TEMPLATE),
    "wrong_language": _Words("not in the brief's language", "The brief's locale"),
    "wrong_script": _Words("traditional and simplified characters mixed up", "The brief's locale", "review"),
    "ungrounded_number": _Words("a number that the brief does not hold", _BRIEF),
    "ungrounded_percentage": _Words("a percentage that the brief does not hold", _BRIEF),
    "ungrounded_price": _Words("a price that the brief does not hold", _BRIEF),
    "ungrounded_contact": _Words("a contact or address that the brief does not hold", _BRIEF),
    "ungrounded_brand": _Words("a name that the brief does not hold", _BRIEF, "review"),
    "ungrounded_place": _Words("a place that the brief does not name", _BRIEF),
    "unfinished": _Words("breaks off in the middle of a sentence", _TEMPLATE),
    "solicitation": _Words("leads the reader off the platform to a private contact", f"{_GOOGLE}: contact details"),
    "canary": _Words("the prompt's planted marker came out", "RELATE: nothing of the prompt may leave the service"),
}


def broken(rule: str, field: str, value: str, span: Span, detail: str = "") -> Finding:
    """A finding of a rule that is code."""
    words, quote = _CODED[rule], value[span.start : span.end]
    reason = f"{words.reason}: {detail}" if detail else words.reason
    return Finding(rule, field, span, quote, words.severity, reason, words.source, _instead(rule, quote))


def _instead(rule: str, quote: str) -> str | None:
    """The plain spelling of what was spelled to draw attention."""
    if rule == "half_width_katakana":
        return fold(quote).text
    if rule == "repeated_punctuation":
        return quote[:1] or None
    if rule == "shouting" and quote.isascii() and any(char.islower() for char in quote.lower()):
        return quote.capitalize() if quote.isupper() else None
    return None
