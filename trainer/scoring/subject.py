"""Features of the subject: whether the description speaks of what the title names.

"Senior Portraits" over the price of another session is untrue, although each fact stands in the brief. What gives it
away: another fact of the brief names the words of the title better than the facts that the description shows.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from adtext.brief import AdBrief
from adtext.remember import remember
from trainer.scoring.facts import BriefFacts, Sentence, brief_facts
from trainer.scoring.grounding import nearest

_MONEY = re.compile(r"[$£€]\s?[0-9]")
_AMOUNT = re.compile(r"[0-9]|\bfree\b|\bhalf\b", re.IGNORECASE)
_TIME = re.compile(
    r"\b[0-9.:]+ ?[ap]\.?m\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b[0-9-]+ ?(?:week|day|hour|minute)",
    re.IGNORECASE,
)


def subject(brief: AdBrief, title: Sentence, body: Sequence[Sentence], facts: BriefFacts) -> dict[str, float]:
    """The features of one text, by name."""
    rare = _rarity(brief)
    named = {stem: rare[stem] for stem in title.content_stems if stem in rare}
    shown = [nearest(sentence, facts)[0] for sentence in body]
    offers = [fact for fact in facts.own[facts.offers :] if fact not in shown]
    business = facts.own[facts.offers - 1 : facts.offers]
    here = max((_held(named, fact) for fact in (*shown, *business)), default=0.0)
    in_body = _held(named, *body)
    rival = max(offers, key=lambda fact: _held(named, fact), default=None)
    there = _held(named, rival) if rival else 0.0
    priced = [fact for sentence, fact in zip(body, shown, strict=True) if _MONEY.search(sentence.raw)]
    whole = sum(named.values())
    unheld = [stem for stem in named if not any(stem in fact.stems for fact in (*body, *business))]
    numbered = sum(bool(_AMOUNT.search(sentence.raw)) for sentence in body)
    contrasts = {
        f"contrast_{name}": max(
            (_contrast(named, fact, offers, kind) for fact in shown if kind.search(fact.raw)), default=0.0
        )
        for name, kind in (("money", _MONEY), ("time", _TIME))
    }
    objects = [
        max((rare.get(stem, 0.0) for stem in fact.content_stems if stem not in named and stem.isalpha()), default=0.0)
        for fact in priced
    ]
    asked_only = sum(stem not in rare for stem in title.content_stems)
    return contrasts | {
        "priced_object": min(objects, default=0.0),
        "priced_shared": max((len(set(named) & set(fact.content_stems)) for fact in priced), default=0),
        "rival": max(there - here, 0.0),
        "rival_alone": there - in_body,
        "rival_priced": (there - here) * bool(rival and _MONEY.search(rival.raw) and priced),
        "rival_amount": (there - here) * bool(rival and _AMOUNT.search(rival.raw)),
        "title_rare": max(named.values(), default=0.0),
        "title_rare_unheld": max((named[stem] for stem in unheld), default=0.0),
        "title_unheld": len(unheld),
        "title_unheld_priced": len(unheld) * bool(priced),
        "title_asked_only": asked_only,
        "title_asked_only_priced": asked_only * bool(priced),
        "price_off_title": min((whole - _held(named, fact) for fact in priced), default=0.0),
        "prices": len(priced),
        "numbered": numbered,
        "title_weight": whole,
        "title_in_shown": here / whole if whole else 0.0,
        "title_in_description": in_body / whole if whole else 0.0,
        "shown_offers": sum(fact in facts.own[facts.offers : facts.page] for fact in shown),
        "shown_page": sum(fact in facts.own[facts.page :] for fact in shown),
        "shown_business": float(any(fact in business for fact in shown)),
        "shown_twice": len(shown) - len({fact.raw for fact in shown}),
    }


def _contrast(named: Mapping[str, float], shown: Sentence, offers: Sequence[Sentence], kind: re.Pattern[str]) -> float:
    """How much better another fact with an amount of this kind names the title than the one that is shown."""
    return max((_held(named, fact) - _held(named, shown) for fact in offers if kind.search(fact.raw)), default=0.0)


def _held(named: Mapping[str, float], *sentences: Sentence) -> float:
    """How much of the title's words stand in these sentences."""
    return sum(weight for stem, weight in named.items() if any(stem in sentence.stems for sentence in sentences))


@remember(8)
def _rarity(brief: AdBrief) -> Mapping[str, float]:
    """ln(facts / facts that hold the word), by stem: what a word of the ad says beyond its neighbours."""
    facts = brief_facts(brief)
    offers = facts.own[facts.offers - 1 :]
    seen = Counter(stem for fact in offers for stem in set(fact.content_stems))
    return {stem: math.log((len(offers) + 1) / count) for stem, count in seen.items()}
