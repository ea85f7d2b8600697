"""Candidates for the fields of a composed reference: titles and descriptions that state an advertiser's own facts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from trainer.plain_words import (
    asked_for,
    content_words,
    counts_first,
    head,
    in_place,
    is_trouble,
    lower_start,
    needs_no_article,
    priced,
    sentence_case,
    subjects,
    title_case,
)
from trainer.prompts import Prompt

# A sentence that starts like this leans on the one before it, so it cannot stand alone.
_LEANS = re.compile(
    r"(?i)^(?:it|they|them|this|that|these|those|he|she|his|her|their|its|so|but|and|or|then|there|some|both|each|"
    r"neither|either|most|half|none|all of|one of|others?|afterwards|instead|otherwise|which|who|nor|yet|"
    r"if so|the (?:first|second|third|other|rest|same|two|three)|another|such|i|i'm|i've)\b"
)
_REFERS_BACK = re.compile(r"(?i)\b(?:he|she|him|his|hers?|i|my|me|they|them|we|our|us)\b")
_LONGEST_SENTENCE = 55  # characters of a landing page sentence: a longer one is copied text, not an ad


@dataclass(frozen=True, slots=True)
class Line:
    """One candidate for a field: the facts that it states, by their places in the brief, and how it is built."""

    text: str
    facts: frozenset[str]
    shape: str


def titles(prompt: Prompt) -> Iterator[Line]:
    """The subject of the query, alone, with the place, with the name or as a question; a short fact; the business."""
    ad = prompt.brief.ad
    where = in_place(ad.business)
    for subject in subjects(prompt):
        title = title_case(subject)
        if is_trouble(subject):
            yield Line(f"{title}?", frozenset({"subject", "ask"}), "trouble?")
            continue
        yield Line(title, frozenset({"subject"}), "subject")
        if where and not content_words(where) & content_words(subject):
            yield Line(title_case(f"{subject} {where}"), frozenset({"subject", "place"}), "subject and place")
        if not content_words(ad.advertiser) & content_words(subject):
            yield Line(f"{title} From {ad.advertiser}", frozenset({"subject", "name"}), "subject from name")
            yield Line(f"{ad.advertiser}: {title}", frozenset({"subject", "name"}), "name: subject")
        if asked := asked_for(subject):
            yield Line(title_case(f"looking for {asked}?"), frozenset({"subject", "ask"}), "looking for")
            yield Line(title_case(f"need {asked}?"), frozenset({"subject", "ask"}), "need")
    for number, point in enumerate(ad.selling_points):
        yield from _fact_titles(point.rstrip(" .!"), frozenset({f"point {number}"}))
    if len(ad.business.split()) >= 2:
        yield Line(title_case(ad.business.rstrip(" .")), frozenset({"business"}), "business")


def _fact_titles(point: str, fact: frozenset[str]) -> Iterator[Line]:
    if len(point.split()) < 2:
        return
    yield Line(title_case(point), fact, "fact")
    if (deal := priced(point)) and not deal.rest:
        if not deal.least:
            yield Line(f"{title_case(deal.what)} for {deal.price}", fact, "fact for price")
        yield Line(f"{title_case(deal.what)}{' From' if deal.least else ','} {deal.price}", fact, "fact, price")


def descriptions(prompt: Prompt) -> Iterator[Line]:
    """One to three facts: fragments or sentences, joined or apart, with or without the business, name and place."""
    points = [
        (sentence_case(point.rstrip(" .!")), f"point {number}")
        for number, point in enumerate(prompt.brief.ad.selling_points)
    ]
    told = [(sentence[:-1], f"sentence {number}") for number, sentence in _sentences(prompt.brief.ad.landing_page)]
    for point, fact in points:
        yield from _with_business(point, fact, prompt)
        for text, shape in _renderings(point):
            yield Line(f"{text}.", frozenset({fact}), shape)
        yield from _led_by_subject(point, fact, prompt)
    for (first, first_fact), (second, second_fact) in permutations(points, 2):
        yield from _two_facts(first, second, frozenset({first_fact, second_fact}), prompt)
    for point, fact in points:
        for sentence, other in told:
            facts = frozenset({fact, other})
            for text, shape in _renderings(point):
                yield Line(f"{text}. {sentence}.", facts, f"{shape}, page")
                yield Line(f"{sentence}. {text}.", facts, f"page, {shape}")
    for (first, first_fact), (second, second_fact), (third, third_fact) in permutations(points, 3):
        yield Line(f"{first}. {second}. {third}.", frozenset({first_fact, second_fact, third_fact}), "three fragments")
        if joined := lower_start(third, prompt):
            listed = f"{first}, {lower_start(second, prompt)} and {joined}."
            plain = "," not in first + second + third and " and " not in first + second + third
            if lower_start(second, prompt) and plain and priced(first) and priced(second) and priced(third):
                yield Line(listed, frozenset({first_fact, second_fact, third_fact}), "list of three")
    for (first, first_fact), (second, second_fact) in permutations(told, 2):
        yield Line(f"{first}. {second}.", frozenset({first_fact, second_fact}), "page, page")


def _renderings(point: str) -> Iterator[tuple[str, str]]:
    """The ways to say one fact: as it stands, as a sentence, its price first."""
    yield point, "fragment"
    if deal := priced(point):
        if deal.sentence:
            yield deal.sentence, "sentence"
        if deal.number_first:
            yield deal.number_first, "number first"
    elif point.startswith("Open "):
        yield f"We are open {point[5:]}", "sentence"


def _two_facts(first: str, second: str, facts: frozenset[str], prompt: Prompt) -> Iterator[Line]:
    for opening, shape in _renderings(first):
        for other, second_shape in _renderings(second):
            if (shape, second_shape) != ("number first", "number first"):
                yield Line(f"{opening}. {other}.", facts, f"{shape}, {second_shape}")
    lowered = lower_start(second, prompt)
    if not lowered or "," in first + second or " and " in first + second:
        return
    if priced(first) and priced(second):
        yield Line(f"{first} and {lowered}.", facts, "and")
    deal = priced(first)
    if deal and (counts_first(second) or second.endswith(("included", "on site", "in stock"))):
        yield Line(f"{first}, with {lowered}.", facts, "with")
        if deal.sentence:
            yield Line(f"{deal.sentence}, with {lowered}.", facts, "sentence with")


def _with_business(point: str, fact: str, prompt: Prompt) -> Iterator[Line]:
    """The fact beside what the advertiser is, and where."""
    business = sentence_case(prompt.brief.ad.business.rstrip(" ."))
    if len(business.split()) >= 3:  # "Nail salon." says next to nothing
        facts = frozenset({"business", fact})
        for text, shape in _renderings(point):
            yield Line(f"{business}. {text}.", facts, f"business, {shape}")
            yield Line(f"{text}. {business}.", facts, f"{shape}, business")
        lowered = lower_start(point, prompt)
        if lowered and "," not in business:
            yield Line(f"{business}: {lowered}.", facts, "business: fact")
            if counts_first(point) or point.startswith("Open "):
                link = ", with" if counts_first(point) else ","
                yield Line(f"{business}{link} {lowered}.", facts, "business with")
    where, deal = in_place(prompt.brief.ad.business), priced(point)
    if where.startswith("in ") and deal and " in " not in point and not deal.rest:
        for text, shape in _renderings(point):
            yield Line(f"{text} {where}.", frozenset({"place", fact}), f"{shape} in place")


def _led_by_subject(point: str, fact: str, prompt: Prompt) -> Iterator[Line]:
    """What was searched for, then the fact."""
    ad = prompt.brief.ad
    where = in_place(ad.business)
    for subject in subjects(prompt):
        lead = sentence_case(subject)
        if content_words(subject) <= content_words(point) or is_trouble(subject):
            continue
        if needs_no_article(head(subject)):
            if not content_words(ad.advertiser) & content_words(subject):
                yield Line(f"{lead} from {ad.advertiser}. {point}.", frozenset({"subject", "name", fact}), "from name")
            if where and not content_words(where) & content_words(subject):
                yield Line(f"{lead} {where}. {point}.", frozenset({"subject", "place", fact}), "subject in place")
                if lowered := lower_start(point, prompt):
                    text = f"{lead} {where}: {lowered}."
                    yield Line(text, frozenset({"subject", "place", fact}), "subject in place: fact")
        if asked := asked_for(subject):
            yield Line(f"Need {asked}? {point}.", frozenset({"subject", "ask", fact}), "need? fact")
            yield Line(f"Looking for {asked}? {point}.", frozenset({"subject", "ask", fact}), "looking for? fact")


def _sentences(page: str) -> Iterator[tuple[int, str]]:
    """The short sentences of a landing page that are clear without the ones around them."""
    for number, sentence in enumerate(re.split(r"(?<=[.!?])\s+", page)):
        plain = sentence.strip()
        words = plain.split()
        if len(words) < 5 or len(plain) > _LONGEST_SENTENCE or len(words[-1]) < 4 or not plain.endswith("."):
            continue
        if _LEANS.search(plain) or _REFERS_BACK.search(plain) or "n't" in plain:
            continue
        if plain.count('"') % 2 or ":" in plain or ";" in plain:
            continue
        yield number, plain
