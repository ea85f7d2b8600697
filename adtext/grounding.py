"""What a text states must stand in its brief: numbers, percentages, prices, quantities, contacts, offers and brand
names.

Both sides are read from the folded view and compared by value. A brief's facts are read once. The brief is untrusted,
but a number in it is the advertiser's own: where it stands does not matter, unless its sentence makes a promise that
no ad may make. "Reverses aging by 30 years" lets no text say 30 years, however it is put.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from adtext.amounts import Amount, amounts
from adtext.brief import AdBrief
from adtext.fold import Cover, Span, Views, fold, squeeze, views
from adtext.lexicon import Lexicon

CANARY = re.compile(r"relate-canary-[0-9a-f]{8}")  # planted in a prompt as untrusted data: it must never come out

_FACTS_KEPT = 1024  # briefs; their facts hold little more than their own text
_STRINGS_KEPT = 8192  # a landing page stands behind many queries, an ad's selling points behind all of them


@dataclass(frozen=True, slots=True)
class Facts:
    """What a brief lets a text state."""

    text: str  # everything, folded
    numbers: frozenset[str]  # every value, whatever it counts
    amounts: frozenset[tuple[str, str, str]]  # (kind, value, unit)
    concepts: frozenset[str]  # offers and brands that the brief names, in any of their wordings
    own: str  # everything but the landing page, folded
    names: tuple[str, ...]  # advertiser and brands, folded
    capitals: frozenset[str]  # words the advertiser writes in capitals


@lru_cache(maxsize=_FACTS_KEPT)
def facts(brief: AdBrief, lexicon: Lexicon) -> Facts:
    """The facts of a brief, read once for all the texts written for it, and each of its strings once for all the
    briefs that hold it.
    """
    stated = [_stated(value, lexicon) for value in brief.facts()]
    found = {amount for one in stated for amount in one.amounts}
    ad = brief.ad
    names = (ad.advertiser, *ad.brands)
    own = "\n".join((*names, ad.business, *ad.selling_points, brief.query, *brief.bidwords))
    return Facts(
        text="\n".join(one.text for one in stated),
        numbers=frozenset(value for _, value, _ in found),
        amounts=frozenset(found),
        concepts=frozenset().union(*(one.concepts for one in stated)),
        own=fold(own).text,
        names=tuple(name for name in (fold(name).text for name in names) if len(squeeze(name)) > 1),
        capitals=frozenset(_CAPITALS.findall(own)) | _lone_capitals(ad.landing_page),
    )


class _Stated(NamedTuple):
    """What one string of a brief states."""

    text: str  # folded
    amounts: frozenset[tuple[str, str, str]]
    concepts: frozenset[str]
    promises: tuple[Span, ...]  # sentences


@lru_cache(maxsize=_STRINGS_KEPT)
def _stated(value: str, lexicon: Lexicon) -> _Stated:
    view = views(value)
    folded = view.folded
    hits = lexicon.find(view)
    promising = [hit.span for hit in hits if hit.entry.rule in _PROMISES]
    promises = _sentences(value, promising) if promising else ()
    inside = Cover(promises)
    stated = [
        amount
        for amount in amounts(folded.text, every=True)
        if not promises or not inside.holds(*folded.raw_span(amount.start, amount.end))
    ]
    return _Stated(
        folded.text,
        frozenset((amount.kind, amount.value, amount.unit) for amount in stated),
        frozenset(hit.entry.concept for hit in hits),
        promises,
    )


def promises_in(value: str, lexicon: Lexicon) -> tuple[Span, ...]:
    """The sentences of a brief's string that promise what no ad may promise."""
    return _stated(value, lexicon).promises


_PROMISES = frozenset(
    {
        "health_claim",
        "medical_claim",
        "financial_promise",
        "education_promise",
        "property_promise",
        "guaranteed_result",
        "false_urgency",
    }
)
_BORDER = re.compile(r"(?<!\bno)[.!?](?=\s)|[。！？\n]", re.IGNORECASE)  # "No. 1" ends no sentence


def _sentences(value: str, spans: Iterable[Span]) -> tuple[Span, ...]:
    """The sentences that these spans stand in, or those that they join, each once."""
    borders = [0, *(match.end() for match in _BORDER.finditer(value)), len(value)]
    return tuple(
        dict.fromkeys(
            Span(borders[bisect_right(borders, span.start) - 1], borders[bisect_left(borders, span.end)])
            for span in spans
        )
    )


@lru_cache(maxsize=_FACTS_KEPT)
def _lone_capitals(page: str) -> frozenset[str]:
    return frozenset(_LONE_CAPITALS.findall(page))


def ungrounded(text: Views, known: Facts, judged: Sequence[Span]) -> Iterator[tuple[str, Span]]:
    """(rule, raw span) of every amount and contact that the brief does not hold.

    Numbers inside `judged` spans (24/7, No. 1, a phone number) belong to a finding of their own.
    """
    contacts = (
        [match.span() for match in _CONTACT.finditer(text.folded.text)]
        if _CONTACT_SIGN.search(text.folded.text)
        else []
    )
    in_contact, in_finding = Cover(contacts), Cover(judged)
    for start, end in contacts:
        if text.folded.text[start:end].rstrip("./") not in known.text:
            yield "ungrounded_contact", text.folded.raw_span(start, end)
    for amount in amounts(text.folded.text, every=False):
        span = text.folded.raw_span(amount.start, amount.end)
        if in_contact.holds(amount.start, amount.end) or in_finding.holds(*span):
            continue
        if not _is_known(amount, known):
            yield f"ungrounded_{'number' if amount.kind == 'quantity' else amount.kind}", span


def _is_known(amount: Amount, known: Facts) -> bool:
    if amount.kind == "number":
        return amount.value in known.numbers
    return (amount.kind, amount.value, amount.unit) in known.amounts


_CAPITALS = re.compile(r"(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])")
# a page that shouts is no model
_LONE_CAPITALS = re.compile(r"(?<![A-Z] )(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])(?! [A-Z]{2})")

# ---- contacts (phone numbers are a matter of format: no platform shows them in a text)

_CONTACT_SIGN = re.compile(r"[@.]")
_DOMAINS = "com|net|org|edu|gov|cn|hk|tw|jp|uk|us|eu|de|fr|io|ai|co|me|tv|cc|app|dev|shop|store|online|site|info|biz|top|xyz|vip|club|ltd"
_CONTACT = re.compile(
    r"(?<![a-z0-9._+-])[a-z0-9._+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+"
    r"|(?:https?://|www\.)[a-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+"
    rf"|(?<![a-z0-9.-])(?:[a-z0-9-]+\.)+(?:{_DOMAINS})(?![a-z0-9-])(?:/[a-z0-9._~/?#=&%-]*)?"
    r"|(?<![a-z0-9])@[a-z0-9_]{3,}"
)
