"""Candidates for the fields of a composed Chinese reference: an advertiser's own facts, joined by commas.

Chinese ads of search results put the query's words first and the facts after them, without sentences in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations, permutations

from trainer.plain_lines import Line
from trainer.prompts import Prompt

_LONGEST_SENTENCE = 20  # characters of a landing page sentence: a longer one is copied text, not an ad
_SHORTEST_SENTENCE = 5
# A sentence that starts like this leans on the one before it, or speaks of somebody, so it cannot stand alone.
_LEANS = re.compile(r"^(?:它|他|她|这|那|都|也|但|所以|不过|另|其|还|再|第二|改完|做完|用完|如果|我们不)")
_HAN = re.compile(r"[一-鿿]+|[A-Za-z0-9]+")
_QUESTION = re.compile(r"[吗呢？?]|怎么|什么|哪|多少|多久|如何|为什么")


def titles(prompt: Prompt) -> Iterator[Line]:
    """What was searched for with a fact, the name or the business; a fact with the business; two facts."""
    ad = prompt.brief.ad
    points = _points(prompt)
    for subject in _subjects(prompt):
        for point, fact in points:
            if not repeats(subject, point):
                yield Line(f"{subject}，{point}", frozenset({"subject", fact}), "subject, fact")
                yield Line(f"{subject}：{point}", frozenset({"subject", fact}), "subject: fact")
        if not repeats(ad.advertiser, subject):
            yield Line(f"{ad.advertiser}：{subject}", frozenset({"subject", "name"}), "name: subject")
            yield Line(f"{subject}，{ad.advertiser}", frozenset({"subject", "name"}), "subject, name")
        if not content(ad.business) & content(subject):
            yield Line(f"{subject}，{ad.business}", frozenset({"subject", "business"}), "subject, business")
    yield Line(ad.business, frozenset({"business"}), "business")
    yield Line(f"{ad.advertiser}：{ad.business}", frozenset({"business", "name"}), "name: business")
    for point, fact in points:
        yield Line(f"{ad.business}，{point}", frozenset({"business", fact}), "business, fact")
    for (first, one), (second, other) in permutations(points, 2):
        yield Line(f"{first}，{second}", frozenset({one, other}), "two facts")


def descriptions(prompt: Prompt) -> Iterator[Line]:
    """Two to four facts, or sentences of the landing page beside facts, with or without the business and the name."""
    ad = prompt.brief.ad
    points, told = _points(prompt), _sentences(ad.landing_page)
    for count in (2, 3):
        for chosen in permutations(points, count):
            facts = frozenset(fact for _, fact in chosen)
            yield Line("，".join(text for text, _ in chosen) + "。", facts, f"{count} facts")
    for chosen in combinations(points, 4):
        facts = frozenset(fact for _, fact in chosen)
        yield Line("，".join(text for text, _ in chosen) + "。", facts, "4 facts")
    for point, fact in points:
        yield Line(f"{ad.business}，{point}。", frozenset({"business", fact}), "business, fact")
        yield Line(f"{ad.advertiser}：{point}。", frozenset({"name", fact}), "name: fact")
    for sentence, page in told:
        for point, fact in points:
            facts = frozenset({page, fact})
            yield Line(f"{sentence}，{point}。", facts, "page, fact")
            yield Line(f"{sentence}。{point}。", facts, "page. fact")
            yield Line(f"{point}，{sentence}。", facts, "fact, page")
        for (first, one), (second, other) in combinations(points, 2):
            yield Line(f"{sentence}，{first}，{second}。", frozenset({page, one, other}), "page, two facts")
            yield Line(f"{first}，{second}。{sentence}。", frozenset({page, one, other}), "two facts. page")
    for (first, one), (second, other) in permutations(told, 2):
        yield Line(f"{first}。{second}。", frozenset({one, other}), "page. page")


def content(text: str) -> frozenset[str]:
    """Pairs of neighbouring characters, and whole words of Latin letters and digits: what can answer a query."""
    runs = _HAN.findall(text)
    return frozenset(run[at : at + 2] for run in runs for at in range(max(1, len(run) - 1)))


def repeats(title: str, sentence: str) -> bool:
    """Whether most of the shorter of the two stands in the other."""
    said, again = content(title), content(sentence)
    return len(said & again) >= 0.6 * max(1, min(len(said), len(again)))


def stammers(text: str) -> bool:
    """Whether a clause says most of what the one before it said."""
    clauses = [clause for clause in re.split(r"[，。：？]", text) if len(clause) >= 2]
    return any(repeats(first, second) for first, second in combinations(clauses, 2))


def _points(prompt: Prompt) -> list[tuple[str, str]]:
    return [(point.rstrip("。 "), f"point {number}") for number, point in enumerate(prompt.brief.ad.selling_points)]


def _subjects(prompt: Prompt) -> Iterator[str]:
    """The query where it is a short phrase and asks nothing, and the bidwords."""
    brief = prompt.brief
    phrases = [*brief.bidwords, *([] if _QUESTION.search(brief.query) else [brief.query])]
    yield from dict.fromkeys(phrase for phrase in phrases if 2 <= len(phrase) <= 12)


def _sentences(page: str) -> list[tuple[str, str]]:
    """The short sentences of a landing page that are clear without the ones around them."""
    return [
        (sentence, f"sentence {number}")
        for number, sentence in enumerate(re.split(r"[。！？\n]", page))
        if _SHORTEST_SENTENCE <= len(sentence) <= _LONGEST_SENTENCE
        and not _LEANS.search(sentence)
        and not re.search(r"[：；“”（）]", sentence)
    ]
