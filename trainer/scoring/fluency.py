"""Features of good writing: a small class n-gram model, unknown and repeated words, broken ends.

The n-gram model knows function words by themselves and other words by their ending, so that a few thousand ad
sentences teach it which constructions are usual: "made in", "from £", "the X-ing of", never "is in the of".
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from adtext.words import english_words
from trainer.scoring.facts import FUNCTION, BriefFacts, Sentence, stem

_SUFFIXES = (
    "ing",
    "ed",
    "ly",
    "tion",
    "ness",
    "ment",
    "er",
    "ers",
    "est",
    "al",
    "ive",
    "ous",
    "ful",
    "able",
    "y",
    "ies",
    "es",
    "ss",
    "s",
    "en",
)
_CLASSES = sorted(_SUFFIXES, key=len, reverse=True)
BORDER = "|"


@dataclass(frozen=True)
class Grams:
    """Counts of class sequences of one, two and three."""

    counts: Mapping[str, int]  # classes joined by a space
    followers: Mapping[str, int]  # context → how many different classes follow it
    kept: frozenset[str]  # words that stand for themselves
    total: int

    def surprise(self, classes: Sequence[str]) -> list[float]:
        """-ln P of each class after the two before it (Witten-Bell interpolation)."""
        padded = [BORDER, BORDER, *classes, BORDER]
        return [-math.log(self._probability(padded[at - 2 : at], padded[at])) for at in range(2, len(padded))]

    def _probability(self, before: Sequence[str], word: str) -> float:
        p = (self.counts.get(word, 0) + 0.5) / (self.total + 500)
        for length in (1, 2):
            context = " ".join(before[2 - length :])
            seen, kinds = self.counts.get(context, 0), self.followers.get(context, 0)
            if seen:
                p = (self.counts.get(f"{context} {word}", 0) + kinds * p) / (seen + kinds)
        return p

    def classes(self, sentence: Sentence) -> list[str]:
        return [self._class(word) for word in sentence.words]

    def _class(self, word: str) -> str:
        if word in self.kept:
            return word
        if word[0].isdigit():
            return "0"
        return next((f"-{ending}" for ending in _CLASSES if word.endswith(ending) and len(word) > len(ending) + 1), "-")


def count(texts: Iterable[Sentence], *, own: int = 40) -> Grams:
    """Learn from sentences; function words and words seen at least `own` times stand for themselves."""
    known = list(texts)
    words = Counter(word for sentence in known for word in sentence.words)
    kept = FUNCTION | set("$£€%&") | {word for word, seen in words.items() if seen >= own and not word[0].isdigit()}
    empty = Grams({}, {}, frozenset(kept), 0)
    counts: Counter[str] = Counter()
    following: dict[str, set[str]] = {}
    for sentence in known:
        padded = [BORDER, BORDER, *empty.classes(sentence), BORDER]
        counts[BORDER] += 1
        counts[f"{BORDER} {BORDER}"] += 1
        for at in range(2, len(padded)):
            counts[padded[at]] += 1
            for length in (1, 2):
                context = " ".join(padded[at - length : at])
                counts[f"{context} {padded[at]}"] += 1
                following.setdefault(context, set()).add(padded[at])
    total = sum(seen for words_, seen in counts.items() if " " not in words_)
    return Grams(dict(counts), {context: len(kinds) for context, kinds in following.items()}, empty.kept, total)


def fluency(title: Sentence, body: Sequence[Sentence], facts: BriefFacts, grams: Grams) -> dict[str, float]:
    """The features of one text, by name."""
    values = {f"title_{name}": value for name, value in _surprises([title], grams).items()}
    values |= {f"body_{name}": value for name, value in _surprises(body, grams).items()}
    words = [word for sentence in (title, *body) for word in sentence.words]
    stems = [sentence.content_stems for sentence in body]
    flat = [item for part in stems for item in part]
    head = title.content_stems
    known = english_words()
    pairs = Counter(pair for sentence in body for pair in zip(sentence.stems, sentence.stems[1:], strict=False))
    values |= {
        "unknown": sum(_unknown(word, facts, known) for word in words),
        "wrong_article": sum(_wrong_article(sentence) for sentence in (title, *body)),
        "title_repeats": len(head) - len(set(head)),
        "body_repeats": len(flat) - len(set(flat)),
        "pair_repeats": sum(seen - 1 for seen in pairs.values()),
        "shared": sum(item in flat for item in set(head)) / max(len(set(head)), 1),
        "doubled": sum(
            a == b for sentence in (title, *body) for a, b in zip(sentence.words, sentence.words[1:], strict=False)
        ),
        "small_pairs": sum(
            a in FUNCTION and b in FUNCTION
            for sentence in body
            for a, b in zip(sentence.words, sentence.words[1:], strict=False)
        ),
        "no_stop": sum(not sentence.raw.rstrip().endswith((".", "!", "?")) for sentence in body[-1:]),
        "shortest": min((len(sentence.words) for sentence in body), default=0),
        "longest": max((len(sentence.words) for sentence in body), default=0),
        "words": sum(len(sentence.words) for sentence in body),
        "title_words": len(title.words),
        "title_lower": sum(part[0].islower() and part.lower() not in FUNCTION for part in title.raw.split()),
        "title_small": sum(word in FUNCTION for word in title.words),
        "title_ends_small": float(title.words[-1] in FUNCTION),
        "lower_start": sum(sentence.raw[:1].islower() for sentence in body),
        "wanders": sum(not set(a) & set(b) for a, b in pairwise(stems)),
        "has_we": sum(word in ("we", "our") for word in words),
        "is": sum(word in ("is", "are", "was", "were") for word in words),
        "commas": sum(sentence.raw.count(",") for sentence in body),
    }
    return values


def _surprises(parts: Sequence[Sentence], grams: Grams) -> dict[str, float]:
    found = [grams.surprise(grams.classes(sentence)) for sentence in parts] or [[0.0]]
    return {
        "surprise_mean": sum(map(sum, found)) / sum(map(len, found)),
        "surprise_worst": max(map(max, found)),
        "surprise_end": max(values[-1] for values in found),
        "surprise_start": max(values[0] for values in found),
        "surprise_peak": max(
            max((sum(values[at : at + 3]) / 3 for at in range(len(values) - 2)), default=values[0]) for values in found
        ),
    }


def _unknown(word: str, facts: BriefFacts, known: frozenset[str]) -> bool:
    return (
        word.isalpha() and word not in known and stem(word) not in facts.stems and stem(word) not in facts.asked_stems
    )


_ARTICLE = re.compile(r"\b(a|an) ([a-z0-9]+)", re.IGNORECASE)
_VOWEL = re.compile(r"(?:[aeio]|u(?!ni|s[ei])|hour|honest|8|11\b|18\b)", re.IGNORECASE)


def _wrong_article(sentence: Sentence) -> int:
    return sum(
        (article.lower() == "an") != bool(_VOWEL.match(word)) for article, word in _ARTICLE.findall(sentence.raw)
    )
