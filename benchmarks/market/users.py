"""How simulated users click, convert and complain. The truth that reward models and policies are held to.

    logit P(click)   = base + appeal + comprehension + bait + match(query, text) - flaws + intent(query)·style(text)
                       + quirk(text) + segment·style(text) + place - fatigue
    logit P(convert | click) = base - misstated + comprehension - bait + substance + match(query, text)
                       + intent'(query)·style(text) + quirk'(text) + segment'
    P(complain | convert) = 1 - (1 - COMPLAINT)^misstated                      who complains takes the purchase back

appeal is the fitted taste; comprehension says how well the wording is understood; misstated counts the offer's facts
that the text gets wrong, which users find out after the click. bait ("you won't believe", "what happens") wins clicks
that do not convert; substance is numbers and names; match says how far the text takes up the query's words; flaws are
words said twice and descriptions that begin or break off inside a sentence. intent and quirk are drawn from hashes of
words, so no encoder can know them for new queries and phrases; nobody logs a user's segment. A search ad is read as one
text, title first. English only: other languages get a rate, but nobody there is simulated with care.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import norm

from adtext.brief import AdBrief, AdText
from benchmarks.market.claims import misstated
from benchmarks.market.comprehension import Comprehension
from benchmarks.market.constants import (
    BASE_CLICK,
    BASE_CONVERT,
    CLICK,
    COMPLAINT,
    CONVERT,
    DELAY_MEDIAN_H,
    DELAY_SIGMA,
    SEGMENT_BUYS,
    SEGMENTS,
    STYLES,
    USUAL_COMPREHENSION,
)
from benchmarks.market.facts import Offer
from benchmarks.market.taste import Floats, Taste
from trainer.snapshot import describe_text

Ints = npt.NDArray[np.int64]
_WORD = re.compile(r"[^\W_]+(?:'\w+)?")
_BAIT = re.compile(
    r"\b(?:you won't believe|what happen(?:s|ed)|this is (?:what|why|how)|here's "
    r"(?:what|why|how)|watch|wait|guess|secret|shocking)\b"
    r"|\b(?:amazing|insane|mind|incredible|unbelievable|wtf|epic|crazy|ever|never|everyone|nobody)\b"
    r"|\.\.\.|…|!|^(?:this|these|what|why|how|when|who)\b"
)


@dataclass(frozen=True)
class Wording:
    """What of [n] texts users react to, whatever the query."""

    appeal: Floats
    bait: Floats
    substance: Floats
    flaws: Floats
    click_quirk: Floats
    convert_quirk: Floats
    style: Floats  # [n, STYLES]


@dataclass(frozen=True)
class Reaction:
    """What [n] queries make of one text each: logits of click and of conversion, before segment, place and fatigue, and
    P(the purchase is kept).
    """

    click: Floats
    convert: Floats
    kept: Floats


@dataclass(frozen=True)
class Rates:
    """[n] expected rates per impression. ctcvr counts purchases that were kept."""

    ctr: Floats
    ctcvr: Floats
    complaints: Floats


@dataclass(frozen=True)
class Users:
    """The whole population. All of it is a function of queries, offers and texts: the same on every machine."""

    taste: Taste
    comprehension: Comprehension

    @staticmethod
    def load(cache: Path | None = None) -> Users:
        """cache: where vectors of texts are kept."""
        return Users(Taste.load(cache), Comprehension.load())

    def expected(self, queries: Sequence[str], offers: Sequence[Offer], texts: Sequence[str]) -> Rates:
        """True rates of one text for one query and offer each, at the first place, for a user who sees the phrase for
        the first time.

        Conversions count inside a window of seven days, as attribution counts them.
        """
        wording = self.wording(texts)
        reaction = self.reaction(queries, offers, texts, wording)
        by_segment = [self.segment_logits(wording, segment) for segment in range(SEGMENTS)]
        clicks = [expit(reaction.click + to_click) for to_click, _ in by_segment]
        bought = np.mean(
            [
                click * expit(reaction.convert + to_convert)
                for click, (_, to_convert) in zip(clicks, by_segment, strict=True)
            ],
            axis=0,
        ) * in_window(7 * 24)
        return Rates(np.mean(clicks, axis=0), bought * reaction.kept, bought * (1 - reaction.kept))

    def of_briefs(self, briefs: Sequence[AdBrief], texts: Sequence[AdText]) -> Rates:
        """True rates of ad texts, whoever wrote them, for a brief each."""
        offers = {id(brief): Offer.of(brief) for brief in briefs}
        return self.expected(
            [brief.query for brief in briefs],
            [offers[id(brief)] for brief in briefs],
            [describe_text(text) for text in texts],
        )

    def true_ctcvr(self, brief: AdBrief, text: AdText) -> float:
        return float(self.of_briefs([brief], [text]).ctcvr[0])

    def wording(self, texts: Sequence[str]) -> Wording:
        bait = np.array([min(3.0, float(len(_BAIT.findall(text.lower())))) for text in texts])
        substance = np.array([_substance(text) for text in texts])
        to_click, to_convert = (np.array([_quirk(text, kind) for text in texts]) for kind in ("click", "convert"))
        flaws = np.array([_flaws(text) for text in texts])
        return Wording(self.taste.appeal(texts), bait - 0.9, substance, flaws, to_click, to_convert, self._style(texts))

    def reaction(
        self, queries: Sequence[str], offers: Sequence[Offer], texts: Sequence[str], wording: Wording
    ) -> Reaction:
        match = np.array([_match(query, text) for query, text in zip(queries, texts, strict=True)])
        understood = self.comprehension.of(queries, offers, texts) - USUAL_COMPREHENSION
        false = np.array([misstated(*row) for row in zip(queries, offers, texts, strict=True)])
        to_click, to_convert = (
            np.array([_direction(query, kind) for query in queries]) for kind in ("click", "convert")
        )
        click = (
            BASE_CLICK
            + CLICK["appeal"] * wording.appeal
            + CLICK["comprehension"] * understood
            + CLICK["bait"] * wording.bait
            + CLICK["match"] * match
            + CLICK["flaws"] * wording.flaws
            + CLICK["intent"] * (to_click * wording.style).sum(axis=1)
            + CLICK["quirk"] * wording.click_quirk
        )
        convert = (
            BASE_CONVERT
            + CONVERT["misstated"] * false
            + CONVERT["comprehension"] * understood
            + CONVERT["bait"] * wording.bait
            + CONVERT["substance"] * wording.substance
            + CONVERT["match"] * match
            + CONVERT["intent"] * (to_convert * wording.style).sum(axis=1)
            + CONVERT["quirk"] * wording.convert_quirk
        )
        return Reaction(click, convert, (1 - COMPLAINT) ** false)

    def segment_logits(self, wording: Wording, segment: int | Ints) -> tuple[Floats, Floats]:
        """[n] what a user's segment adds to both logits: [n] texts, one segment or one each."""
        directions = np.array([_direction(f"segment {number}", "click") for number in range(SEGMENTS)])
        likes = (directions[segment] * wording.style).sum(axis=1)
        buys = np.array(SEGMENT_BUYS)[segment]
        return CLICK["segment"] * likes, buys + np.zeros(len(likes))

    def _style(self, texts: Sequence[str]) -> Floats:
        """[n, STYLES] z-scores: length, address, story, question."""
        return np.array([_style(text) for text in texts]).reshape(len(texts), STYLES)


def words_of(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("’", "'"))


def phrase(text: str) -> str:
    """What users get tired of: how a text opens."""
    return " ".join(words_of(text)[:2])


def in_window(hours: float) -> float:
    """Share of conversions that come within so many hours of the click."""
    return float(norm.cdf((np.log(hours) - np.log(DELAY_MEDIAN_H)) / DELAY_SIGMA))


def _style(text: str) -> list[float]:
    words = words_of(text)
    count = max(1, len(words))
    address = sum(word in ("you", "your", "you're", "we", "our", "i", "my") for word in words)
    story = sum(word in ("he", "she", "his", "her", "him", "they", "their", "a", "an") for word in words)
    values = [
        (count - 14) / 5,
        (address - 0.6) / 0.9,
        (story - 1.2) / 1.2,
        (text.count("?") + text.count(",") - 0.8) / 0.9,
    ]
    return [max(-2.5, min(2.5, value)) for value in values]


def _substance(text: str) -> float:
    """Numbers and names, as a rough z-score."""
    words = text.split()
    facts = sum(any(character.isdigit() for character in word) for word in words)
    long_words = sum(len(word) >= 8 for word in words) / max(1, len(words))
    return max(-2.0, min(2.5, 1.2 * min(facts, 2) + 6 * (long_words - 0.14)))


def _match(query: str, text: str) -> float:
    """Share of the query's words that the text takes up, singular or plural: 1 from three in five."""
    in_query, in_text = ({word.removesuffix("s") for word in words_of(phrase)} for phrase in (query, text))
    return min(1.0, len(in_query & in_text) / max(1.0, 0.6 * len(in_query)))


def _flaws(text: str) -> float:
    """Faults of writing: words repeated, 1 for three in ten beyond the tenth that any text repeats; each ragged end of
    a description, 1.
    """
    words = [word for word in words_of(text) if len(word) > 3]
    repeated = max(0.0, 1 - len(set(words)) / max(1, len(words)) - 0.1) / 0.3
    _, *lines = text.split("\n")
    ragged = sum(line[:1].islower() for line in lines) + sum(not line.endswith((".", "!", "?")) for line in lines)
    return min(2.0, repeated) + ragged


def _quirk(text: str, kind: str) -> float:
    """A standard normal sum over the text's word pairs, each with a number of its own."""
    words = ["", *words_of(text)]
    pairs = [" ".join(words[at : at + 2]) for at in range(max(1, len(words) - 1))]
    return float(np.sum([_normal(pair, kind) for pair in pairs]) / np.sqrt(len(pairs)))


@cache
def _direction(name: str, kind: str) -> tuple[float, ...]:
    """[STYLES] a direction of taste that a name draws."""
    return tuple(_normal(f"{name} {axis}", f"intent {kind}") for axis in range(STYLES))


@cache
def _normal(name: str, kind: str) -> float:
    """A standard normal number drawn from the hash of a name."""
    digest = hashlib.blake2b(f"{kind}:{name}".encode(), digest_size=8).digest()
    return float(norm.ppf((int.from_bytes(digest) + 0.5) / 2**64))
