"""Which words of a text the brief does not hold, or holds in another form.

A text of the policy that brings a content word of its own has invented something more often than not, so it is not
kept. At the judge's serving threshold this changes nothing; before the judge it keeps three quarters of the false texts
out of the review queue, at the cost of one good text in a hundred (docs/judge.md).
English only: Chinese and Japanese texts are held against the brief character by character (`candidates.score`).
"""

from __future__ import annotations

import re

import snowballstemmer

from adtext.brief import AdBrief, AdText
from adtext.fold import fold
from adtext.remember import remember

_WORD = re.compile(r"[a-z][a-z']*")
_CAPITALISED = re.compile(r"\b[A-Z][a-z]{2,4}\b")
_NAME = re.compile(r"\b[A-Z][a-z]+(?: [A-Z][a-z]+){2,4}\b")  # three words or more: two would make CD of Copper Dog
# words that carry no claim about the product, and common calls to action
_EMPTY = frozenset(
    """
    a about all also an and any are as ask at be before book both browse but buy by call can choose come could day
    days do does each every few find for from get go has have he her here his how i if in into is it its just let
    like look looking made make many may me more most much my need no not now of off on one only or order our out
    over own per see she shop so some such than that the their them then there these they this those through to
    today try two under until up us use very visit want was we were what when where which while who will with
    without you your
    """.split()
)


def unsupported_words(text: AdText, brief: AdBrief) -> list[str]:
    """The content words of an English text whose stem is not in the brief, in reading order; then initialisms in small
    letters: "Bsl" where the brief says British Sign Language.
    """
    known, initials = _stems_of_brief(brief), _initialisms(brief)
    values = [value for _, value in text.fields()]
    unknown = [word for value in values for word in _words(value) if _stem(word) not in known]
    return unknown + [word for value in values for word in _CAPITALISED.findall(value) if word.upper() in initials]


@remember(16)
def _stems_of_brief(brief: AdBrief) -> frozenset[str]:
    return frozenset(_stem(word) for value in brief.facts() for word in _words(value))


@remember(16)
def _initialisms(brief: AdBrief) -> frozenset[str]:
    """The initials of names of three or more capitalised words in the brief, but none that the brief has as a word."""
    names = (name for value in brief.facts() for name in _NAME.findall(value))
    words = {word.upper() for value in brief.facts() for word in _CAPITALISED.findall(value)}
    return frozenset("".join(word[0] for word in name.split()) for name in names) - words


def _words(value: str) -> list[str]:
    words = (word.removesuffix("'s").strip("'") for word in _WORD.findall(fold(value).text.replace("’", "'")))
    return [word for word in words if len(word) > 1 and word not in _EMPTY]


_stemmer = snowballstemmer.stemmer("english")


def _stem(word: str) -> str:
    stem: str = _stemmer.stemWord(word)
    return stem
