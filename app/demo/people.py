"""Made-up people: what they look for, what they click on and what they order.

They see three things in a text: whether it states an offer of the brief, whether it takes up their words, and whether
they have seen it before. That is enough to fill a report, and says nothing about how real people read ads. They order
far more often than real people do, so that a few thousand of them fill it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, log
from typing import Any

RETURNS = 0.35  # probability that a person comes back on a following day
BOTS = 0.02  # share of the units that click on everything, faster than a person can
DELAY_MEDIAN_H, DELAY_SIGMA = 3.0, 1.0  # from click to order: log-normal
BOT_CLICK_S = 0.2

_CLICK = {"base": -2.4, "offer": 0.7, "asked": 1.0, "seen": -0.5}
_ORDER = {"base": -2.0, "offer": 0.6, "asked": 0.5}
_AMOUNT = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass
class Person:
    """One unit of the experiment, with what it wants and what it has been shown."""

    unit: str
    brief: Mapping[str, Any]
    bot: bool
    seen: Counter[str] = field(default_factory=Counter)  # titles


def crowd(count: int, briefs: list[Mapping[str, Any]], rng: random.Random) -> list[Person]:
    """`count` people. Each has one brief, whose query it will search for."""
    return [Person(f"person-{number}", rng.choice(briefs), rng.random() < BOTS) for number in range(count)]


def chances(person: Person, text: Mapping[str, Any]) -> tuple[float, float]:
    """P(click) and P(order | click) of a text for a person who may have seen it before."""
    said = " ".join(str(text.get(name) or "") for name in ("title", "description", "description_2"))
    offer, asked = _offer(person.brief, said), _asked(person.brief, said)
    seen = log(1 + person.seen[str(text["title"])])
    click = _CLICK["base"] + _CLICK["offer"] * offer + _CLICK["asked"] * asked + _CLICK["seen"] * seen
    order = _ORDER["base"] + _ORDER["offer"] * offer + _ORDER["asked"] * asked
    return _probability(click), _probability(order)


def order_delay_h(rng: random.Random) -> float:
    """Hours from the click to the order."""
    return rng.lognormvariate(log(DELAY_MEDIAN_H), DELAY_SIGMA)


def _offer(brief: Mapping[str, Any], said: str) -> float:
    """1 where the text states an amount that a selling point of the ad states too."""
    offered = {amount for point in brief["ad"].get("selling_points", ()) for amount in _AMOUNT.findall(point)}
    return float(bool(offered & set(_AMOUNT.findall(said))))


def _asked(brief: Mapping[str, Any], said: str) -> float:
    """Share of the query's words that the text takes up, singular or plural."""
    asked, taken = ({word.lower().removesuffix("s") for word in _WORD.findall(text)} for text in (brief["query"], said))
    return len(asked & taken) / max(1, len(asked))


def _probability(logit: float) -> float:
    return 1 / (1 + exp(-logit))
