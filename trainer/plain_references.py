"""Plain reference texts composed from an advertiser's own facts: what a small model can learn to write truthfully.

A written reference shows style, but it infers and turns phrases, and a small model that imitates it invents. A composed
one names the subject of the query and states one or two facts in the advertiser's own words. Every candidate is held
against the checks; `plain_references` picks texts that differ from each other. English only. Light: no torch.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from adtext.brief import AdText
from adtext.checks import check
from adtext.fold import fold
from adtext.ngrams import distinct
from adtext.rules import Rules, load_rules
from adtext.spec import FieldSpec, measure
from trainer.prompts import ADVERTISERS, Prompt, load_prompts

# A sentence that starts like this leans on the one before it, so it cannot stand alone.
_LEANS = re.compile(
    r"(?i)^(?:it|they|them|this|that|these|those|he|she|his|her|their|its|so|but|and|or|then|there|some|both|each|"
    r"neither|either|most|half|none|all of|one of|others?|afterwards|instead|otherwise|which|who|nor|yet|"
    r"if so|the (?:first|second|third|other|rest|same|two|three)|another|such|i|i'm|i've)\b"
)
_REFERS_BACK = re.compile(r"(?i)\b(?:he|she|him|his|hers?|i|my|me|they|them)\b")
_QUESTION = re.compile(
    r"(?i)^(?:how|what|when|where|why|who|which|is|are|can|do|does|should|will)\b|"
    r"\b(?:my|near me|won't|cheap(?:est)?|best|cost|price|reviews?)\b"
)
_SMALL = frozenset(
    ["a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with", "per", "as"]
)
_UNCOUNTED = frozenset(
    [
        "help",
        "advice",
        "repair",
        "hire",
        "rental",
        "insurance",
        "training",
        "cleaning",
        "storage",
        "furniture",
        "clothing",
        "coffee",
        "tea",
        "care",
        "software",
        "therapy",
        "music",
        "wool",
        "bread",
        "cheese",
        "honey",
        "tuition",
        "bookkeeping",
        "delivery",
        "support",
        "treatment",
        "paint",
        "tile",
        "fabric",
        "leather",
        "food",
        "work",
        "law",
        "yoga",
        "flooring",
        "lighting",
        "catering",
        "coaching",
        "counselling",
        "testing",
        "moving",
        "printing",
        "removal",
    ]
)
_JOINS = frozenset(
    ["for", "with", "in", "from", "without", "by", "of", "to"]
)  # a query with one of these is a phrase, not a list
_ORDERS = frozenset(
    ["order", "buy", "find", "get", "book", "rent", "hire", "learn", "compare", "shop", "sell", "make", "post", "move"]
)
_CAPITALS = {
    word.lower(): word
    for word in [
        "UK",
        "USA",
        "US",
        "SAT",
        "ACT",
        "GCSE",
        "VAT",
        "SEO",
        "TV",
        "PC",
        "LED",
        "RV",
        "IT",
        "UPVC",
        "MOT",
        "3D",
        "HVAC",
        "DIY",
        "EV",
    ]
}
# a name: a capital inside a sentence, or an abbreviation anywhere
_CAPITAL = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][\w'-]*|\b[A-Z]{2,}\b")
_SHORTEST_DESCRIPTION = 0.45  # of the limit: a description that says next to nothing is no example to learn from
_CANDIDATES = 400  # pairs looked at for one query


@dataclass(frozen=True, slots=True)
class _Line:
    """One candidate for a field, and the facts that it states (their places in the brief)."""

    text: str
    facts: frozenset[str]


def plain_references(prompt: Prompt, rules: Rules, n: int, *, seed: int = 0) -> list[AdText]:
    """Up to n composed texts of one query, without any finding, the query's subject first, no two alike.

    seed: varies order and pairing; the same seed gives the same texts.
    """
    if prompt.brief.language != "en":
        raise ValueError(f"locale {prompt.brief.locale} is not English: plain references are composed in English only")
    random = Random(f"{seed}/{prompt.brief.ad.id}/{prompt.brief.query}")
    titles = _fitting(_titles(prompt), prompt.spec.fields["title"], 0.3)
    descriptions = _fitting(_descriptions(prompt, random), prompt.spec.fields["description"], _SHORTEST_DESCRIPTION)
    pairs = [
        (title, description)
        for title in titles
        for description in descriptions
        if not title.facts & description.facts and fold(title.text).text not in fold(description.text).text
    ]
    random.shuffle(pairs)
    wanted = _words(prompt.brief.query) | {word for bidword in prompt.brief.bidwords for word in _words(bidword)}
    pairs.sort(key=lambda pair: -_answers(wanted, pair))
    chosen: list[AdText] = []
    used: Counter[str] = Counter()
    for most in (1, 2, 3):  # each title, and each description's first fact, so many times
        for title, description in pairs[:_CANDIDATES]:
            if len(chosen) == n:
                return chosen
            keys = (title.text, description.text, *(f"fact:{fact}" for fact in description.facts))
            text = AdText(title=title.text, description=description.text)
            if any(used[key] >= (most if not key.startswith("fact:") else 2 * most) for key in keys):
                continue
            if used[description.text] or distinct([*chosen, text]) <= len(chosen):
                continue
            if check(text, prompt.brief, prompt.spec, rules):
                continue
            chosen.append(text)
            used.update(keys)
    return chosen


def _answers(wanted: frozenset[str] | set[str], pair: tuple[_Line, _Line]) -> int:
    """Words of the query that the pair mentions, the title's twice: what was searched for stands first."""
    title, description = pair
    return 2 * len(wanted & _words(title.text)) + len(wanted & _words(description.text))


def _words(text: str) -> frozenset[str]:
    return frozenset(word.removesuffix("s") for word in re.findall(r"[a-z0-9']+", text.lower())) - _SMALL


def _fitting(lines: Iterator[_Line], limits: FieldSpec, least: float) -> list[_Line]:
    shortest = max(limits.min, least * limits.max)
    unique = {line.text: line for line in lines if shortest <= measure(line.text, limits.mode) <= limits.max}
    return list(unique.values())


# Titles: the subject, with the advertiser or the place; the advertiser; a short fact.
def _titles(prompt: Prompt) -> Iterator[_Line]:
    ad = prompt.brief.ad
    place = _place(ad.business)
    for subject in _subjects(prompt):
        title = _title_case(subject)
        yield _Line(title, frozenset())
        yield _Line(f"{title} at {ad.advertiser}", frozenset({"name"}))
        yield _Line(f"{title} from {ad.advertiser}", frozenset({"name"}))
        yield _Line(f"{ad.advertiser}: {title}", frozenset({"name"}))
        if place and not _words(place) & _words(subject):
            yield _Line(f"{title} {place}", frozenset({"place"}))
        if _many(subject):
            yield _Line(f"Looking for {subject}?", frozenset({"ask"}))
    for number, point in enumerate(ad.selling_points):
        yield _Line(_title_case(point.rstrip(" .!")), frozenset({f"point {number}"}))
    business = ad.business.rstrip(" .")
    yield _Line(_title_case(business), frozenset({"business"}))


def _subjects(prompt: Prompt) -> Iterator[str]:
    """Bidwords and the query, where they name a thing: no question, no `near me`, no price hunting, no order to buy.

    Searches are typed in small letters, so names and abbreviations take the capitals that they have in the brief.
    """
    ad = prompt.brief.ad
    known = ". ".join((ad.business, *ad.selling_points, ad.landing_page))
    capitals = {word.lower(): word for word in _CAPITAL.findall(known)}
    for number, phrase in enumerate((*prompt.brief.bidwords, prompt.brief.query)):
        words = phrase.split()
        whole = number < len(prompt.brief.bidwords) or any(word in _JOINS for word in words[1:-1])
        if whole and not _QUESTION.search(phrase) and 2 <= len(words) <= 6 and words[0] not in _ORDERS:
            yield " ".join(_CAPITALS.get(word, capitals.get(word, word)) for word in words)


def _place(business: str) -> str:
    """`in Leeds` of "Plumbers in Leeds and around": empty where the business names no place."""
    match = re.search(r"\b(in|near|around) ((?:[A-Z][\w'-]+ ?){1,3})", business)
    return f"{match[1]} {match[2].strip()}" if match else ""


# Descriptions: one or two facts, in the advertiser's words, each a sentence.
def _descriptions(prompt: Prompt, random: Random) -> Iterator[_Line]:
    ad = prompt.brief.ad
    points = [(point.rstrip(" .!"), f"point {number}") for number, point in enumerate(ad.selling_points)]
    sentences = [(sentence, f"sentence {number}") for number, sentence in _sentences(ad.landing_page)]
    business = _sentence_case(ad.business.rstrip(" ."))
    if len(business.split()) < 3:  # "Nail salon." says next to nothing
        business = ""
    subjects = [_sentence_case(subject) for subject in _subjects(prompt) if _many(subject)]
    for first, fact in points:
        yield _Line(f"{_sentence_case(first)}.", frozenset({fact}))
        if business:
            yield _Line(f"{business}. {_sentence_case(first)}.", frozenset({"business", fact}))
            yield _Line(f"{_sentence_case(first)}. {business}.", frozenset({"business", fact}))
        for subject in subjects:
            yield _Line(f"{subject} from {ad.advertiser}. {_sentence_case(first)}.", frozenset({"name", "place", fact}))
        for second, other in points:
            if fact != other:
                yield _Line(f"{_sentence_case(first)}. {_sentence_case(second)}.", frozenset({fact, other}))
                lowered = _lower_start(second, prompt)
                if lowered[:1].islower() and "," not in first + second and " and " not in first + second:
                    yield _Line(f"{_sentence_case(first)}, {lowered}.", frozenset({fact, other}))
                for third, last in points:
                    if last not in (fact, other) and random.random() < 0.3:
                        joined = ". ".join(_sentence_case(point) for point in (first, second, third))
                        yield _Line(f"{joined}.", frozenset({fact, other, last}))
        for sentence, other in sentences:
            yield _Line(f"{sentence} {_sentence_case(first)}.", frozenset({other, fact}))
            yield _Line(f"{_sentence_case(first)}. {sentence}", frozenset({other, fact}))
    for sentence, fact in sentences:
        yield _Line(sentence, frozenset({fact}))
        if business:
            yield _Line(f"{business}. {sentence}", frozenset({"business", fact}))


def _sentences(page: str) -> Iterator[tuple[int, str]]:
    """The sentences of a landing page that stand on their own."""
    for number, sentence in enumerate(re.split(r"(?<=[.!?])\s+", page)):
        plain = sentence.strip()
        words = plain.split()
        if (
            len(words) < 5
            or len(words[-1]) < 4
            or _LEANS.search(plain)
            or _REFERS_BACK.search(plain)
            or not plain.endswith(".")
        ):
            continue
        if plain.count('"') % 2 or ":" in plain or ";" in plain:
            continue
        yield number, plain


def _title_case(words: str) -> str:
    """Headline style; a word with a capital or a digit keeps its form, small words stay small inside."""
    parts = words.split()
    return " ".join(
        part if any(letter.isupper() or letter.isdigit() for letter in part)
        or (at and part.lower() in _SMALL) else part[:1].upper() + part[1:]
        for at, part in enumerate(parts)
    )  # fmt: skip


def _sentence_case(words: str) -> str:
    return words[:1].upper() + words[1:]


def _lower_start(words: str, prompt: Prompt) -> str:
    """The fact inside a sentence: its first word small, unless it is a name or an abbreviation."""
    first = words.split()[0]
    known = f" {prompt.brief.ad.landing_page} {' '.join(prompt.brief.bidwords)} "
    common = first.lower() in _LOWERED or f" {first.lower()} " in known
    return words[:1].lower() + words[1:] if common and not first.isupper() else words


_LOWERED = frozenset(
    [
        "a",
        "an",
        "the",
        "free",
        "all",
        "every",
        "each",
        "no",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "from",
        "open",
        "first",
        "same",
        "only",
        "fixed",
        "weekly",
        "monthly",
        "daily",
        "small",
        "large",
        "new",
        "hand",
        "over",
        "under",
        "up",
        "fresh",
        "local",
        "online",
        "next",
        "most",
        "prices",
        "made",
        "sold",
        "delivered",
        "classes",
        "lessons",
        "repairs",
        "returns",
        "delivery",
        "parts",
        "spare",
    ]
)


def _many(phrase: str) -> bool:
    """The phrase needs no article: `wide shoes`, `deposit help`; not `eviction lawyer`."""
    last = phrase.split()[-1].lower()
    return (last.endswith("s") and not last.endswith(("ss", "us", "is"))) or last in _UNCOUNTED


def write_prompts(out: Path, rules: Rules, *, composed: int, written: int, seed: int = 0) -> int:
    """Write the English training advertisers to `out` with `composed` plain and `written` written references per query.

    Returns the number of references. `relate train sft --prompts OUT` learns from the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    prompts = {(prompt.brief.ad.id, prompt.brief.query): prompt for prompt in load_prompts(split="train")}
    random, count = Random(seed), 0
    with (out / "en.jsonl").open("w", encoding="utf-8") as file:
        for advertiser in training_advertisers():
            for query in advertiser["queries"]:
                prompt = prompts[advertiser["ad"]["id"], query["query"]]
                plain = plain_references(prompt, rules, composed, seed=seed)
                few = random.sample(query["references"], min(written, len(query["references"])))
                query["references"] = [*(text.model_dump(exclude_none=True) for text in plain), *few]
                count += len(query["references"])
            file.write(json.dumps(advertiser, ensure_ascii=False) + "\n")
    return count


def training_advertisers() -> list[dict[str, Any]]:
    """The English training advertisers as they stand in their files."""
    rows = [
        json.loads(line)
        for file in sorted(ADVERTISERS.glob("*.jsonl"))
        for line in file.read_text("utf-8").splitlines()
    ]
    return [row for row in rows if row["split"] == "train" and row["locale"].startswith("en")]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.plain_references",
        description="Write the training advertisers with composed references, for `relate train sft --prompts`",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write en.jsonl into")
    parser.add_argument("--composed", type=int, default=8, help="plain references composed per query (default 8)")
    parser.add_argument("--written", type=int, default=2, help="written references kept per query (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    count = write_prompts(given.out, load_rules(), composed=given.composed, written=given.written, seed=given.seed)
    print(f"{count} references in {given.out / 'en.jsonl'}")


if __name__ == "__main__":
    main()
