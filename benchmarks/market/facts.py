"""What an advertiser offers, as users know it: amounts with what they belong to, words, names, denials.

A parser of its own, deterministic and in English: sentences fall into clauses, and a clause's content words are what
its numbers are about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from adtext.brief import AdBrief

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_CLAUSE = re.compile(r"\s*(?:[;:()—–]|,(?!\d{3})|\s-\s|\b(?:and|but|or|while|so)\b)\s*")
_UNITS_OF_TEN = "zero one two three four five six seven eight nine ten eleven twelve".split()
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_UNITS_OF_TEN)} | {
    "fifteen": "15", "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90",
    "hundred": "100", "dozen": "12",
}  # fmt: skip
_AMOUNT = re.compile(
    r"(?P<currency>[£$€¥]|\bUSD\s)?\s?(?P<number>\d[\d,]*(?:\.\d+)?)(?P<percent>\s?%)?"
    r"|\b(?P<word>" + "|".join(_NUMBER_WORDS) + r")\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"^(?::\d\d)?\s?(am|pm|a\.m|p\.m)\b", re.IGNORECASE)
_PER = re.compile(r"^\s*(?:per|a|an|every|/)\s*(half[- ]?)?([a-z]+)", re.IGNORECASE)
_NEXT = re.compile(r"^[\s-]*([a-z]+)", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_DENIAL = frozenset("no never without none zero".split())
_DENIED_WORDS = 3  # words after a denial that it reaches
_TERMS = frozenset(
    "cost charg fee extra price pay need requir".split()
)  # of a sale: denied of one thing, true of another
_FUNCTION = frozenset(
    "a an the and or but if of to in on at by for from with without as is are was were be been it its this that these "
    "those we our us you your they their he she his her i my me not no never so than then there here what which who "
    "when where why how all any each every one own can will may do does did have has had just only also more most up "
    "out over under off into onto about after before until while per through between during both too very get got "
    "let's need needs want looking plus via us".split()
)


@dataclass(frozen=True)
class Amount:
    """A number and what it belongs to."""

    kind: str  # price, percent, clock or count
    value: str
    unit: str  # the noun after a count, am or pm, what a price is paid per
    near: frozenset[str]  # content words of its clause
    wide: frozenset[str]  # and of its sentence


@dataclass(frozen=True)
class Offer:
    """The sentences of an advertiser: what it sells, its selling points and its page.

    searches: how people ask for it.
    """

    name: str
    lines: tuple[str, ...]
    searches: tuple[str, ...] = ()

    @staticmethod
    def of(brief: AdBrief) -> Offer:
        ad = brief.ad
        lines = [
            part.strip()
            for line in (ad.business, *ad.selling_points, ad.landing_page)
            for part in _SENTENCE.split(line)
            if part.strip()
        ]
        return Offer(" ".join((ad.advertiser, *ad.brands)), tuple(lines), brief.bidwords)

    @cached_property
    def amounts(self) -> tuple[Amount, ...]:
        return tuple(amount for line in self.lines for amount in amounts(line))

    @cached_property
    def words(self) -> frozenset[str]:
        """Stems of every word, function words included."""
        return frozenset(stem(word) for line in (self.name, *self.lines) for word in _WORD.findall(line))

    @cached_property
    def denied(self) -> frozenset[str]:
        """Stems of what some sentence denies."""
        return frozenset(word for line in self.lines for word in denials(line))

    @cached_property
    def affirmed(self) -> frozenset[str]:
        return frozenset(word for line in self.lines for word in content(line) - denials(line))


def clauses(sentence: str) -> Iterator[str]:
    yield from (part for part in _CLAUSE.split(sentence) if part)


def split_sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(text) if part.strip()]


def amounts(sentence: str) -> Iterator[Amount]:
    """The amounts of a sentence. A clause without content words before or after its number lends those of the clause
    before.
    """
    wide, before = content(sentence), frozenset[str]()
    for clause in clauses(sentence):
        near = content(clause)
        for found in _AMOUNT.finditer(clause):
            yield _amount(found, clause[found.end() :], near if len(near) > 1 else near | before, wide)
        before = near


def _amount(found: re.Match[str], rest: str, near: frozenset[str], wide: frozenset[str]) -> Amount:
    number = found["number"]
    value = _NUMBER_WORDS[found["word"].lower()] if found["word"] else number.replace(",", "").removesuffix(".00")
    if found["currency"]:
        per = _PER.match(rest)
        return Amount("price", value, f"{'half ' if per[1] else ''}{stem(per[2])}" if per else "", near, wide)
    if found["percent"]:
        return Amount("percent", value, "", near, wide)
    if clock := _CLOCK.match(rest):
        return Amount("clock", value, clock[1][0].lower(), near, wide)
    noun = _NEXT.match(rest)
    return Amount("count", value, stem(noun[1]) if noun and noun[1].lower() not in _FUNCTION else "", near, wide)


def content(text: str) -> frozenset[str]:
    """Stems of the words that carry meaning; number words are none."""
    words = (word.lower() for word in _WORD.findall(text))
    return frozenset(stem(word) for word in words if word not in _FUNCTION and word not in _NUMBER_WORDS)


def denials(text: str) -> frozenset[str]:
    """Stems of content words that the text denies: within three words after "no", "without" and the like, or before
    "-free".
    """
    denied: set[str] = set()
    for clause in clauses(text):
        words = [word.lower() for word in _WORD.findall(clause)]
        denied |= content(" ".join(re.findall(r"(\w+)-free\b", clause.lower())))
        for at, word in enumerate(words):
            if word in _DENIAL:
                denied |= content(" ".join(words[at + 1 : at + 1 + _DENIED_WORDS]))
    return frozenset(denied - _TERMS)


def stem(word: str) -> str:
    """The word without its commonest endings."""
    word = word.lower().replace("’", "'").removesuffix("'s")
    for ending, least in (("ings", 4), ("ing", 4), ("ies", 3), ("ed", 3), ("es", 3), ("s", 3), ("y", 3), ("e", 3)):
        if word.endswith(ending) and len(word) - len(ending) >= least and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def names(sentence: str) -> Sequence[str]:
    """Capitalised words inside a sentence: names and places."""
    words = _WORD.findall(sentence)
    return [
        word for word in words[1:] if word[0].isupper() and not word.isupper() and len(word) > 2 and "'" not in word
    ]
