"""Features of truth: how closely each sentence of a text follows one fact of the brief.

A sentence that repeats a fact is true. What invents facts is a word of its own, words of two facts in one sentence, a
number beside words that it does not stand beside in the brief, another order of the words, and a negation too many.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainer.scoring.facts import FUNCTION, NEGATIONS, BriefFacts, Sentence, longest_common, stem

_PRONOUN = re.compile(r"^(?:it|its|they|their|them|this|these|that|those|each|both|one|he|she|his|her|there)$")
_COST = frozenset(stem(word) for word in "cost costs price priced pay paid from just only for charge fee".split())
_LINKS = frozenset("is are was were be for with in from by at to of on without per as and or".split()) | {
    "cost",
    "costs",
}
_NUMBER = re.compile(r"[0-9]")
_PLAIN = frozenset(
    stem(word)
    for word in "book browse buy call choose compare come find get learn look looking make order see shop try use "
    "visit want ask bring send start stay keep today new good".split()
)


def grounding(title: Sentence, body: Sequence[Sentence], facts: BriefFacts) -> dict[str, float]:
    """The features of one text, by name."""
    values: dict[str, float] = {}
    everything = facts.own + facts.asked
    parts = [_of_sentence(sentence, facts, everything) for sentence in body] or [_EMPTY]
    for name in _EMPTY:
        column = [part[name] for part in parts]
        values[f"{name}_worst"] = max(column)
        values[f"{name}_mean"] = sum(column) / len(column)
    for name, value in _of_sentence(title, facts, everything).items():
        values[f"title_{name}"] = value
    values |= _antecedents(body, facts)
    values["bodies"] = len(body)
    return values


_NAMES = """
    new plain_new unowned uncovered uncovered_rate disorder breaks unseen crossed far_links wrong_links number_alone
    number_left number_right negated unstated_capitals mid_start mid_end unlike novel_small
""".split()
_EMPTY = dict.fromkeys(_NAMES, 0.0)


def _of_sentence(sentence: Sentence, facts: BriefFacts, everything: Sequence[Sentence]) -> dict[str, float]:
    """Each value is 0 for a sentence that repeats a fact, and grows with the distance from it."""
    content = sentence.content_stems
    new = [word for word in content if word not in facts.stems and word not in facts.asked_stems]
    unowned = [word for word in content if word not in facts.stems]
    best, covered = nearest(sentence, facts)
    size = max(len(content), 1)
    order = longest_common(content, best.content_stems)
    runs, unseen = _runs(sentence, facts)
    crossed, far, wrong = _links(sentence, facts, everything)
    alone, left, right = _numbers(sentence, facts)
    start, end = _edges(sentence, best)
    small_novel = sum(
        word in FUNCTION and word not in best.words and word not in ("a", "the", "an", "our", "and")
        for word in sentence.words
    )
    return {
        "new": len([word for word in new if word not in _PLAIN]),
        "plain_new": len([word for word in new if word in _PLAIN]),
        "unowned": len(unowned),
        "uncovered": len(content) - covered,
        "uncovered_rate": 1 - covered / size,
        "disorder": covered - order,
        "breaks": runs,
        "unseen": unseen,
        "crossed": crossed,
        "far_links": far,
        "wrong_links": wrong,
        "number_alone": alone,
        "number_left": left,
        "number_right": right,
        "negated": abs(_negations(sentence) - _negations(best)),
        "unstated_capitals": _capitals(sentence, facts),
        "mid_start": start,
        "mid_end": end,
        "unlike": 1 - 2 * longest_common(sentence.stems, best.stems) / max(len(sentence.stems) + len(best.stems), 1),
        "novel_small": small_novel,
    }


def nearest(sentence: Sentence, facts: BriefFacts) -> tuple[Sentence, int]:
    """The fact that holds most of the sentence's content words, the most alike among equals; and how many."""
    content = sentence.content_stems
    best, key = sentence, (-1, -1.0)
    for fact in facts.own:
        held = set(fact.stems)
        covered = sum(word in held for word in content)
        if covered < key[0]:
            continue
        alike = longest_common(sentence.stems, fact.stems) / max(len(fact.stems), len(sentence.stems))
        if (covered, alike) > key:
            best, key = fact, (covered, alike)
    return best, max(key[0], 0)


def _runs(sentence: Sentence, facts: BriefFacts) -> tuple[float, float]:
    """Pieces that the sentence is made of, less one, and pairs of neighbours that stand together nowhere."""
    stems, pieces, place, unseen = sentence.stems, 0, 0, 0
    for at in range(len(stems) - 1):
        unseen += (stems[at], stems[at + 1]) not in facts.runs
    while place < len(stems):
        pieces += 1
        held = facts.runs.get(stems[place : place + 2])
        place += 1
        while held and place < len(stems) - 1:
            place += 1
            held = held & facts.runs.get(stems[place - 1 : place + 1], frozenset())
        if held:
            place += 1
    return pieces - 1, unseen


def _links(sentence: Sentence, facts: BriefFacts, everything: Sequence[Sentence]) -> tuple[float, float, float]:
    """Neighbouring content words that no fact holds both; those among them that a linking word joins; and joined
    ones that facts hold, but never joined."""
    crossed = far = wrong = 0
    for left, right in zip(sentence.content, sentence.content[1:], strict=False):
        pair = sentence.stems[left], sentence.stems[right]
        joining = [word for word in sentence.words[left + 1 : right] if word in _LINKS]
        together = [fact for fact in everything if pair[0] in fact.stems and pair[1] in fact.stems]
        if not together:
            crossed += 1
            far += bool(joining)
        elif joining and not any(_joined(pair, fact) for fact in together):
            wrong += 1
    return crossed, far, wrong


def _joined(pair: tuple[str, str], fact: Sentence) -> bool:
    content = fact.content_stems
    return any(item == pair[0] and pair[1] in content[place + 1 : place + 3] for place, item in enumerate(content))


def _numbers(sentence: Sentence, facts: BriefFacts) -> tuple[float, float, float]:
    """Numbers none of whose neighbours stands beside them in a fact; whose left, whose right neighbours do not."""
    alone = lefts = rights = 0
    for position, place in enumerate(sentence.content):
        if not _NUMBER.search(sentence.words[place]):
            continue
        number = sentence.stems[place]
        before = [sentence.stems[at] for at in sentence.content[max(position - 3, 0) : position]]
        after = [sentence.stems[at] for at in sentence.content[position + 1 : position + 4]]
        before = [word for word in before if word not in _COST]
        held = [_beside(number, fact) for fact in facts.own if number in fact.stems]
        if not held:
            alone += 1
            continue
        near = [left | right for left, right in held]
        alone += bool(before or after) and not any(set(before + after) & words for words in near)
        lefts += bool(before) and not any(before[-1] in words for words in near)
        rights += bool(after) and not any(after[0] in words for words in near)
    return alone, lefts, rights


def _beside(number: str, fact: Sentence) -> tuple[set[str], set[str]]:
    content = fact.content_stems
    place = content.index(number) if number in content else 0
    return set(content[max(place - 4, 0) : place]), set(content[place + 1 : place + 5])


def _negations(sentence: Sentence) -> int:
    return sum(word in NEGATIONS or word.endswith("n't") for word in sentence.words)


def _capitals(sentence: Sentence, facts: BriefFacts) -> float:
    names = re.findall(r"(?<=\w )\b[A-Z][\w'-]*", sentence.raw)
    return sum(
        name.lower().removesuffix("'s") not in facts.capitals and stem(name.lower()) not in facts.stems
        for name in names
    )


def _edges(sentence: Sentence, best: Sentence) -> tuple[float, float]:
    """1 where the sentence begins, or ends, inside its nearest fact."""
    first = [place for place, word in enumerate(best.stems) if word == sentence.stems[0]]
    last = [place for place, word in enumerate(best.stems) if word == sentence.stems[-1]]
    return float(not first or first[0] > 0), float(not last or last[-1] < len(best.stems) - 1)


def _antecedents(body: Sequence[Sentence], facts: BriefFacts) -> dict[str, float]:
    """Sentences that begin with a pronoun, and those whose pronoun stands for something else than in the page."""
    begins = lost = inner = 0
    for number, sentence in enumerate(body):
        inner += sum(bool(_PRONOUN.match(word)) for word in sentence.words[1:])
        if not _PRONOUN.match(sentence.words[0]):
            continue
        begins += 1
        best, _ = nearest(sentence, facts)
        if number == 0:
            lost += 1
            continue
        before, _ = nearest(body[number - 1], facts)
        place = facts.own.index(best) if best in facts.own else -1
        lost += before is not best and (place < 1 or facts.own[place - 1] is not before)
    return {"pronouns": begins, "pronouns_lost": lost, "pronouns_inside": inner}
