"""What a text states must stand in its brief: amounts, offers, brands, places and contacts.

Only the ad's own facts support a claim. The query and the bidwords are a stranger's words: they may name the subject,
and a number of theirs may be repeated together with their own words around it. Amounts are compared by value, unit
family and what they count; a fact counts with its polarity, so "no free shipping" supports no free shipping. A number
in a sentence that promises what no ad may promise supports nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from adtext.amounts import Amount, amounts
from adtext.brief import AdBrief, products_of
from adtext.context import agree, context
from adtext.fold import Cover, Span, Views, fold, squeeze, views
from adtext.idioms import PLURAL, is_claim
from adtext.lexicon import Lexicon
from adtext.remember import remember
from adtext.units import UNITS
from adtext.words import Words, english_words

CANARY = re.compile(r"relate-canary-[0-9a-f]{8}")  # planted in a prompt as untrusted data: it must never come out

_FACTS_MIB = 48  # memory for briefs and their facts
_STRINGS_MIB = 48  # a landing page stands behind many queries, an ad's selling points behind all of them
_CAPITALS_MIB = 8
_PLACES_KEPT = 12  # places kept per amount: a page that repeats it says nothing new

DISCOUNT = "discount"  # the concept of the offers pack that any amount off affirms

Stated = tuple[str, Amount]  # the folded string that holds the amount
Amounts = Mapping[tuple[str, str], tuple[Stated, ...]]  # by unit and value


@dataclass(frozen=True, slots=True)
class Facts:
    """What a brief lets a text state."""

    text: str  # the ad's facts, folded
    subject: str  # query and bidwords, folded
    amounts: Amounts
    asked: Amounts  # amounts of the query and the bidwords
    concepts: frozenset[str]  # offers and brands that the facts affirm, in any of their wordings
    denied: frozenset[str]  # offers that they deny
    own: str  # everything but the landing page, folded
    names: tuple[str, ...]  # advertiser and brands, folded
    spellings: tuple[str, ...]  # advertiser and brands, as written
    capitals: frozenset[str]  # words the advertiser's own names write in capitals
    products: frozenset[str]  # product classes


@remember(_FACTS_MIB)
def facts(brief: AdBrief, lexicon: Lexicon) -> Facts:
    """The facts of a brief, read once for all the texts written for it, and each of its strings once for all the
    briefs that hold it.
    """
    ad = brief.ad
    stated = [_stated(value, lexicon, brief.language) for value in brief.own_facts()]
    asked = [_stated(value, lexicon, brief.language) for value in (brief.query, *brief.bidwords)]
    names = (ad.advertiser, *ad.brands)
    own = "\n".join((*names, ad.business, *ad.selling_points, brief.query, *brief.bidwords))
    text = "\n".join(fact.text for fact in stated)
    subject = "\n".join(phrase.text for phrase in asked)
    by_value = _by_value(stated)
    concepts = frozenset().union(*(fact.concepts for fact in stated))
    if any(
        amount.kind in ("percentage", "price") and (amount.off or context(text, amount).off)
        for found in by_value.values()
        for text, amount in found
    ) or _CUT.search(text):
        concepts |= {DISCOUNT}  # $10 off is a discount
    return Facts(
        text=text,
        subject=subject,
        amounts=by_value,
        asked=_by_value(asked),
        concepts=concepts,
        denied=frozenset().union(*(fact.denied for fact in stated)),
        own=fold(own).text,
        names=tuple(name for name in (fold(name).text for name in names) if len(squeeze(name)) > 1),
        spellings=names,
        capitals=frozenset(_CAPITALS.findall("\n".join((*names, ad.business, *ad.selling_points))))
        | frozenset(
            word for word in _CAPITALS.findall(f"{brief.query} {brief.bidwords}") if word.lower() not in english_words()
        )
        | _lone_capitals(ad.landing_page),
        products=products_of(brief),
    )


def _by_value(stated: Iterable[_Stated]) -> Amounts:
    places: dict[tuple[str, str], list[Stated]] = defaultdict(list)
    for fact in stated:
        for amount in fact.amounts:
            places[amount.key].append((fact.text, amount))
            if amount.word and amount.kind in ("quantity", "price"):
                places[_BARE, _number(amount)].append((fact.text, amount))
    return {key: tuple(found[:_PLACES_KEPT]) for key, found in places.items()}


def _number(amount: Amount) -> str:
    """The value before its unit: what a text repeats that leaves the unit out."""
    unit = UNITS.get(amount.word)
    return f"{(Decimal(amount.value) / (unit.size if unit else 1)).normalize():f}"


_BARE = "any"


class _Stated(NamedTuple):
    """What one string of a brief states."""

    text: str  # folded
    amounts: tuple[Amount, ...]
    concepts: frozenset[str]
    denied: frozenset[str]
    promises: tuple[Span, ...]  # sentences


_CUT = re.compile(r"满[0-9一二三四五六七八九十百千]+元?立?减")


@remember(_STRINGS_MIB)
def _stated(value: str, lexicon: Lexicon, language: str) -> _Stated:
    view = views(value)
    folded = view.folded
    hits = lexicon.find(view, language)
    promising = [hit.span for hit in hits if hit.entry.rule in _PROMISES and not hit.denied]
    promises = _sentences(value, promising) if promising else ()
    inside = Cover(promises)
    stated = [
        amount
        for amount in amounts(folded.text)
        if not promises or not inside.holds(*folded.raw_span(amount.start, amount.end))
    ]
    return _Stated(
        folded.text,
        tuple(stated),
        frozenset(hit.entry.concept for hit in hits if not hit.denied),
        frozenset(hit.entry.concept for hit in hits if hit.denied),
        promises,
    )


def promises_in(value: str, lexicon: Lexicon, language: str) -> tuple[Span, ...]:
    """The sentences of a brief's string that promise what no ad may promise."""
    return _stated(value, lexicon, language).promises


_PROMISES = frozenset(
    {
        "health_claim",
        "medical_claim",
        "financial_promise",
        "education_promise",
        "property_promise",
        "guaranteed_result",
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


@remember(_CAPITALS_MIB)
def _lone_capitals(page: str) -> frozenset[str]:
    return frozenset(_LONE_CAPITALS.findall(page))


_CAPITALS = re.compile(r"(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])")
# a page that shouts is no model
_LONE_CAPITALS = re.compile(r"(?<![A-Z] )(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])(?! [A-Z]{2})")


def ungrounded(text: Views, known: Facts, judged: Iterable[Span], language: str) -> Iterator[tuple[str, Span]]:
    """(rule, raw span) of every amount that the brief does not hold.

    Numbers inside `judged` spans (24/7, No. 1, a phone number) belong to a finding of their own.
    """
    folded = text.folded
    found = amounts(folded.text)
    if not found:
        return
    in_finding, words = Cover(judged), Words(folded.text, language)
    for amount in found:
        span = folded.raw_span(amount.start, amount.end)
        if in_finding.holds(*span) or not is_claim(amount, folded.text, words):
            continue
        if not _is_known(amount, folded.text, known):
            yield _RULE_OF.get(amount.kind, "ungrounded_number"), span


_RULE_OF = {"percentage": "ungrounded_percentage", "price": "ungrounded_price"}


def _is_known(amount: Amount, folded: str, known: Facts) -> bool:
    if amount.kind == "vague":
        return _crowd_is_known(amount, folded, known)
    if amount.kind == "number" and (name := _model_name(folded, amount)):
        return any(name.replace("-", "") in facts.replace("-", "") for facts in (known.text, known.subject))
    said = context(folded, amount)
    if (
        amount.kind == "number"
        and not said.kinds
        and PLURAL.match(folded, amount.end) is None
        and (_BARE, amount.value) in known.amounts
    ):
        return True
    for key in _equal_keys(amount):
        if any(agree(said, context(text, other), amount, folded) for text, other in known.amounts.get(key, ())):
            return True
        if not said.off and any(
            not said.words.isdisjoint(context(text, other).words) for text, other in known.asked.get(key, ())
        ):
            return True
    return False


def _equal_keys(amount: Amount) -> Iterator[tuple[str, str]]:
    """The ways in which a brief may state this amount."""
    yield amount.key
    if amount.kind == "time":
        minutes = int(amount.value)
        yield "clock", str((minutes + 720) % 1440)
        if minutes % 60 == 0:
            yield "", str(minutes // 60)
    if amount.unit == "size":
        yield "", amount.value
    if amount.kind == "quantity" and amount.unit == "age":
        yield "", amount.value
        yield "month", f"{12 * Decimal(amount.value):f}"
    if amount.unit == "£" and amount.word.startswith("pound"):
        yield "oz", f"{16 * Decimal(amount.value):f}"
    if amount.kind == "number" and amount.word == "":
        yield "age", amount.value
        yield "size", amount.value
        if amount.value.isdecimal() and 0 < int(amount.value) < 25:
            yield from (("clock", str(60 * hour)) for hour in (int(amount.value) % 24, (int(amount.value) + 12) % 24))


_MODEL = re.compile(r"[a-z]+-?[0-9][a-z0-9-]*|[0-9]+(?!(?:st|nd|rd|th)\b)[a-z]{2,}[a-z0-9-]*")


def _model_name(folded: str, amount: Amount) -> str:
    """The token of letters and digits that holds the number, such as xr-600, or nothing."""
    if not amount.written[0].isdigit() or amount.word:
        return ""
    start, end = amount.start, amount.end
    while start and ((folded[start - 1].isascii() and folded[start - 1].isalnum()) or folded[start - 1] == "-"):
        start -= 1
    while end < len(folded) and ((folded[end].isascii() and folded[end].isalnum()) or folded[end] == "-"):
        end += 1
    token = folded[start:end].strip("-")
    return token if _MODEL.fullmatch(token) else ""


def _crowd_is_known(amount: Amount, folded: str, known: Facts) -> bool:
    """Thousands stand for any number of thousands, or for the word itself."""
    if folded[amount.start : amount.end] in known.text:
        return True
    least = int(amount.value)
    return any(
        unit == "" and least <= float(value) < 100 * least
        for unit, value in known.amounts
        if value.replace(".", "").isdigit()
    )
