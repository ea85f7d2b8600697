"""How simulated users click and convert. The truth that reward models and policies are held to.

    logit P(click)   = base + appeal + bait + match(query, text) - flaws + intent(query)·style(text) + quirk(text)
                       + segment·style(text) + place - fatigue
    logit P(convert | click) = base - bait + substance + match(query, text) + intent'(query)·style(text) + quirk'(text)
    + segment'

appeal is the fitted taste; bait ("you won't believe", "what happens") wins clicks that do not convert; substance is
numbers and names; match says how far the text takes up the query's words; flaws are words said twice and descriptions
that begin or break off inside a sentence. intent and quirk are drawn from hashes of words, so no encoder can know them
for new queries and phrases; nobody logs a user's segment. A search ad is read as one text, title first.
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
from scipy.special import expit, logit
from scipy.stats import norm

from adtext.brief import AdBrief, AdText
from benchmarks.market.taste import Floats, Taste, words_of
from trainer.snapshot import describe_text

Ints = npt.NDArray[np.int64]
PLACES = (0.0, -0.7, -1.25, -1.7)  # added to the click logit by place of display
SEGMENTS = 3
FATIGUE = 0.3  # times log(1 + how often the unit saw the phrase before)
DELAY_MEDIAN_H, DELAY_SIGMA = 20.0, 1.5  # of a conversion after its click, log-normal
STYLES = 4
_BASE = {"click": float(logit(0.050)), "convert": float(logit(0.043))}
_WEIGHTS = {"appeal": 0.25, "bait": 0.12, "match": 0.25, "flaws": -0.3, "intent": 0.03, "quirk": 0.04, "segment": 0.10}
_CONVERT = {"bait": -0.22, "substance": 0.15, "match": 0.20, "intent": 0.03, "quirk": 0.04}
_BAIT = re.compile(
    r"\b(?:you won't believe|what happen(?:s|ed)|this is (?:what|why|how)|here's "
    r"(?:what|why|how)|watch|wait|guess|secret|shocking)\b"
    r"|\b(?:amazing|insane|mind|incredible|unbelievable|wtf|epic|crazy|ever|never|everyone|nobody)\b"
    r"|\.\.\.|…|!|^(?:this|these|what|why|how|when|who)\b"
)


@dataclass(frozen=True)
class Wording:
    """What of [n] texts users react to."""

    appeal: Floats
    bait: Floats
    substance: Floats
    flaws: Floats
    click_quirk: Floats
    convert_quirk: Floats
    style: Floats  # [n, STYLES]


@dataclass(frozen=True)
class Users:
    """The whole population. All of it is a function of queries and texts: the same on every machine."""

    taste: Taste

    @staticmethod
    def load(cache: Path | None = None) -> Users:
        """cache: where vectors of texts are kept."""
        return Users(Taste.load(cache))

    def expected(self, queries: Sequence[str], texts: Sequence[str]) -> tuple[Floats, Floats]:
        """[n] true CTR and CTCVR of one text for one query each, at the first place, for a user who sees the phrase
        for the first time.

        CTCVR counts conversions inside a window of seven days, as attribution does.
        """
        wording = self.wording(texts)
        click, convert = self.base_logits(queries, texts, wording)
        segments = [self.segment_logits(wording, segment) for segment in range(SEGMENTS)]
        ctr = np.mean([expit(click + to_click) for to_click, _ in segments], axis=0)
        both = np.mean(
            [expit(click + to_click) * expit(convert + to_convert) for to_click, to_convert in segments], axis=0
        )
        return ctr, both * in_window(7 * 24)

    def true_ctcvr(self, brief: AdBrief, text: AdText) -> float:
        """True CTCVR of an ad text for a brief, whoever wrote it."""
        return float(self.expected([brief.query], [describe_text(text)])[1][0])

    def wording(self, texts: Sequence[str]) -> Wording:
        bait = np.array([min(3.0, float(len(_BAIT.findall(text.lower())))) for text in texts])
        substance = np.array([_substance(text) for text in texts])
        to_click, to_convert = (np.array([_quirk(text, kind) for text in texts]) for kind in ("click", "convert"))
        flaws = np.array([_flaws(text) for text in texts])
        return Wording(self.taste.appeal(texts), bait - 0.9, substance, flaws, to_click, to_convert, self._style(texts))

    def base_logits(self, queries: Sequence[str], texts: Sequence[str], wording: Wording) -> tuple[Floats, Floats]:
        """[n] logits of click and of conversion given a click, before segment, place and fatigue."""
        match = np.array([_match(query, text) for query, text in zip(queries, texts, strict=True)])
        to_click, to_convert = (
            np.array([_direction(query, kind) for query in queries]) for kind in ("click", "convert")
        )
        click = (
            _BASE["click"]
            + _WEIGHTS["appeal"] * wording.appeal
            + _WEIGHTS["bait"] * wording.bait
            + _WEIGHTS["match"] * match
            + _WEIGHTS["flaws"] * wording.flaws
            + _WEIGHTS["intent"] * (to_click * wording.style).sum(axis=1)
            + _WEIGHTS["quirk"] * wording.click_quirk
        )
        convert = (
            _BASE["convert"]
            + _CONVERT["bait"] * wording.bait
            + _CONVERT["substance"] * wording.substance
            + _CONVERT["match"] * match
            + _CONVERT["intent"] * (to_convert * wording.style).sum(axis=1)
            + _CONVERT["quirk"] * wording.convert_quirk
        )
        return click, convert

    def segment_logits(self, wording: Wording, segment: int | Ints) -> tuple[Floats, Floats]:
        """[n] what a user's segment adds to both logits: [n] texts, one segment or one each."""
        directions = np.array([_direction(f"segment {number}", "click") for number in range(SEGMENTS)])
        likes = (directions[segment] * wording.style).sum(axis=1)
        buys = np.array([-0.3, 0.0, 0.25])[segment]
        return _WEIGHTS["segment"] * likes, buys + np.zeros(len(likes))

    def _style(self, texts: Sequence[str]) -> Floats:
        """[n, STYLES] z-scores: length, address, story, question."""
        return np.array([_style(text) for text in texts]).reshape(len(texts), STYLES)


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
