"""Which facts a text misstates, against the advertiser's own: users find out after the click, and some complain."""

from __future__ import annotations

import re
from collections.abc import Iterator

from benchmarks.market.constants import (
    DENIED,
    MOST_MISSTATED,
    UNKNOWN_NAME,
    UNSUPPORTED,
    USUAL_UNSUPPORTED,
    WRONG_AMOUNT,
    WRONG_OBJECT,
    WRONG_UNIT,
)
from benchmarks.market.facts import Amount, Offer, amounts, content, denials, names, split_sentences, stem

_CALENDAR = {
    stem(word)
    for word in "monday tuesday wednesday thursday friday saturday sunday january february march april may june july "
    "august september october november december spring summer autumn winter christmas easter".split()
}


def misstated(query: str, offer: Offer, text: str) -> float:
    """How many facts the text misstates, weighed by kind: 0 for a true text, at most MOST_MISSTATED."""
    return min(MOST_MISSTATED, sum(weight for _, weight in misstatements(query, offer, text)))


def misstatements(query: str, offer: Offer, text: str) -> Iterator[tuple[str, float]]:
    """What is false, and its weight."""
    title, *lines = text.split("\n")
    said, asked = content(text), content(query)
    for line in (title, *lines):
        for sentence in split_sentences(line):
            for amount in amounts(sentence):
                weight = _amount_weight(amount, offer, said, in_title=line is title)
                if weight and amount.value not in {asked_for.value for asked_for in amounts(query)}:
                    yield f"{amount.kind} {amount.value} {amount.unit}".strip(), weight
            yield from _denials(sentence, offer)
    for line in lines:
        known = offer.words | asked | _CALENDAR
        yield from (
            (name, UNKNOWN_NAME)
            for sentence in split_sentences(line)
            for name in names(sentence)
            if stem(name) not in known
        )
    unsupported = len(said - offer.words - asked) / max(1, len(said))
    if unsupported > USUAL_UNSUPPORTED:
        yield "words without support", UNSUPPORTED * (unsupported - USUAL_UNSUPPORTED)


def _amount_weight(amount: Amount, offer: Offer, said: frozenset[str], *, in_title: bool) -> float:
    """0 where the advertiser names this amount for this thing. A title's number may be explained below it."""
    if amount.kind == "count" and amount.value in ("0", "1"):
        return 0.0
    alike = [fact for fact in offer.amounts if fact.kind == amount.kind]
    same = [fact for fact in alike if _number(fact.value) == _number(amount.value)]
    if amount.kind == "clock":
        same = [fact for fact in same if fact.unit == amount.unit]
    if not same:
        return WRONG_AMOUNT
    rivals = [fact for fact in alike if _number(fact.value) != _number(amount.value)]
    about = said if in_title or not amount.near - {amount.unit} else amount.near
    fit = max(_closeness(about, said, fact) for fact in same)
    rival = max((_closeness(about, said, fact) for fact in rivals), default=0.0)
    if rival > fit and not any(about & fact.near for fact in same):
        return WRONG_OBJECT
    if amount.kind == "count" and amount.unit and not any(_of_unit(amount.unit, fact) for fact in same):
        return WRONG_OBJECT if any(fact.unit == amount.unit for fact in rivals) else 0.0
    units = {fact.unit for fact in same} - {""}
    return WRONG_UNIT if amount.kind == "price" and amount.unit and units and amount.unit not in units else 0.0


def _closeness(about: frozenset[str], said: frozenset[str], fact: Amount) -> float:
    """Words shared with the fact's sentence, once more with its clause, and half by the rest of the text."""
    return len(about & fact.near) + len(about & fact.wide) + 0.5 * len(said & fact.near)


def _of_unit(unit: str, fact: Amount) -> bool:
    return not fact.unit or unit == fact.unit or unit in fact.wide


def _denials(sentence: str, offer: Offer) -> Iterator[tuple[str, float]]:
    denied = denials(sentence)
    without = denied | content(" ".join(re.findall(r"(\w+) free\b", sentence.lower())))
    unmentioned = offer.denied - offer.affirmed
    yield from ((f"{word} is denied", DENIED) for word in sorted((content(sentence) - without) & unmentioned))
    yield from ((f"no {word}", DENIED / 2) for word in sorted(denied & (offer.affirmed - offer.denied)))


def _number(value: str) -> float:
    return float(value)
