"""Features of form: words that differ from the brief's by their ending or capitals, and limits that a number lost.

Facts are compared by stem, so "Group of nine" repeats "Groups of nine" and "Gi Bill" repeats "GI bill"; a reader sees
the difference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from adtext.brief import AdBrief
from adtext.remember import remember
from adtext.words import english_words
from trainer.scoring.facts import FUNCTION, BriefFacts, Sentence, brief_facts
from trainer.scoring.grounding import nearest

_TOKEN = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*")
_BEFORE = frozenset("from to over under up until most least about".split())
_PER = frozenset("a an per each for off upward".split())


def form(brief: AdBrief, title: Sentence, body: Sequence[Sentence], facts: BriefFacts) -> dict[str, float]:
    """The features of one text, by name."""
    known, spelled, names, capitals = _spellings(brief)
    values = {"title_bent": float(_bent(title, facts.stems | facts.asked_stems, known))}
    bent, dropped, added, lost, per = [0], [0], [0], [0], [0]
    for sentence in body:
        best, covered = nearest(sentence, facts)
        if covered:
            bent.append(_bent(sentence, frozenset(best.stems), frozenset(best.words)))
            span, inside = _span(sentence, best)
            dropped.append(span - inside)
            added.append(len(sentence.stems) - inside)
        before, after = _limits(sentence, facts)
        lost.append(before)
        per.append(after)
    values |= {
        "bent_worst": max(bent),
        "bent_sum": sum(bent),
        "dropped_worst": max(dropped),
        "dropped_sum": sum(dropped),
        "added_worst": max(added),
        "limit_lost": sum(lost),
        "unit_lost": sum(per),
    }
    for name, parts in (("title", [title]), ("body", body)):
        tokens = [(at, token) for part in parts for at, token in enumerate(_TOKEN.findall(part.raw))]
        values[f"{name}_small_name"] = sum(token in names for _, token in tokens)
        values[f"{name}_broken_capitals"] = sum(
            token not in spelled and token.upper() in capitals and token != token.upper() for _, token in tokens
        )
        values[f"{name}_odd_short"] = sum(_odd_short(token, spelled) for _, token in tokens)
        values[f"{name}_inner_capital"] = sum(
            at > 0 and token[0].isupper() and token.lower() in spelled and token not in spelled for at, token in tokens
        )
    words = title.raw.split()
    values["title_mixed_case"] = float(
        len({word[0].isupper() for word in words if word.lower() not in FUNCTION and word[0].isalpha()}) > 1
    )
    values["title_all_small"] = float(title.raw == title.raw.lower())
    asked = max((_skips(title, sentence) for sentence in facts.asked), default=(0.0, 0.0, 0.0))
    values |= dict(zip(("asked_run", "asked_skips", "asked_small_skips"), asked, strict=True))
    values["title_first_bent"] = float(bool(title.words) and _is_bent(title, 0, facts.stems | facts.asked_stems, known))
    values["title_last_plural"] = float(title.words[-1].endswith("s"))
    return values


def _bent(sentence: Sentence, stems: frozenset[str], words: frozenset[str]) -> int:
    """Words whose stem is known and whose spelling is not."""
    return sum(_is_bent(sentence, at, stems, words) for at in range(len(sentence.words)))


def _is_bent(sentence: Sentence, at: int, stems: frozenset[str], words: frozenset[str]) -> bool:
    return sentence.stems[at] in stems and sentence.words[at] not in words


@remember(16)
def _spellings(brief: AdBrief) -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """Folded words of the brief; spellings of the ad's words; lower-case forms of words that it always writes with a
    capital; words all in capitals."""
    facts = brief_facts(brief)
    known = frozenset(word for fact in (*facts.own, *facts.asked) for word in fact.words)
    inner: set[str] = set()
    everywhere: set[str] = set()
    for fact in facts.own:
        tokens = _TOKEN.findall(fact.raw)
        everywhere.update(tokens)
        inner.update(tokens[1:])
    names = {token.lower() for token in inner if token[0].isupper()} - everywhere
    capitals = {token for token in everywhere if len(token) > 1 and token.isupper()}
    return known, frozenset(everywhere), frozenset(names), frozenset(capitals)


def _odd_short(token: str, spelled: frozenset[str]) -> bool:
    """A short word with one capital that is no English word, such as "Hgv" or "Dbs"."""
    return (
        1 < len(token) <= 4 and token[0].isupper() and token[1:].islower() and token not in spelled
        and token.lower() not in english_words()
    )  # fmt: skip


def _span(sentence: Sentence, best: Sentence) -> tuple[int, int]:
    """Words of the fact from the first to the last that the sentence repeats, and how many of them it repeats."""
    places, start = [], 0
    for stem in sentence.stems:
        if stem in best.stems[start:]:
            start = best.stems.index(stem, start) + 1
            places.append(start - 1)
    return (places[-1] - places[0] + 1, len(places)) if places else (0, 0)


def _limits(sentence: Sentence, facts: BriefFacts) -> tuple[int, int]:
    """Numbers that lost the "from" or "up to" before them, and the unit such as "a month" behind them."""
    before = after = 0
    for at, word in enumerate(sentence.words):
        if not word[0].isdigit():
            continue
        held = [(fact, place) for fact in facts.own for place, other in enumerate(fact.words) if other == word]
        if not held:
            continue
        before += all(_BEFORE & set(fact.words[max(place - 2, 0) : place]) for fact, place in held) and not (
            _BEFORE & set(sentence.words[max(at - 2, 0) : at])
        )
        after += all(_PER & set(fact.words[place + 1 : place + 2]) for fact, place in held) and not (
            _PER & set(sentence.words[at + 1 : at + 2])
        )
    return before, after


def _skips(title: Sentence, asked: Sentence) -> tuple[float, float, float]:
    """Words of the title that follow a query in order; content and function words of the query skipped between."""
    places, start = [], 0
    for stem in title.stems:
        if stem in asked.stems[start:]:
            start = asked.stems.index(stem, start) + 1
            places.append(start - 1)
    if len(places) < 2:
        return float(len(places)), 0.0, 0.0
    skipped = [asked.words[at] for at in range(places[0], places[-1]) if at not in places]
    small = sum(word in FUNCTION for word in skipped)
    return float(len(places)), float(len(skipped) - small), float(small)
