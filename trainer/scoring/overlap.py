"""Features of the second judge: letters instead of words, so that its errors differ from the first judge's.

How many of a sentence's five-letter sequences stand in one fact and in the whole brief, and how usual its
three-letter sequences are.
"""

from __future__ import annotations

from collections.abc import Sequence

from adtext.brief import AdBrief
from adtext.fold import squeeze
from adtext.remember import remember
from trainer.scoring.facts import BriefFacts, Sentence, brief_facts
from trainer.scoring.fluency import Grams

_LENGTH = 5


def overlap(
    brief: AdBrief, title: Sentence, body: Sequence[Sentence], facts: BriefFacts, grams: Grams
) -> dict[str, float]:
    """The features of one text, by name."""
    known = _pieces_of(brief, _LENGTH)
    asked = frozenset().union(*(_pieces(sentence.raw, _LENGTH) for sentence in facts.asked))
    whole = frozenset().union(*known)
    parts = [_of_sentence(sentence, known, whole, asked) for sentence in body] or [(0.0,) * 4]
    names = ("outside", "apart", "split", "asked_only")
    values = {}
    for number, name in enumerate(names):
        column = [part[number] for part in parts]
        values[f"{name}_worst"], values[f"{name}_mean"] = max(column), sum(column) / len(column)
    values |= {
        f"title_{name}": value for name, value in zip(names, _of_sentence(title, known, whole, asked), strict=True)
    }
    surprise = [value for sentence in (title, *body) for value in grams.surprise(list(squeeze(sentence.raw)))]
    return values | {
        "surprise": sum(surprise) / len(surprise),
        "surprise_worst": max(surprise),
        "length": sum(len(sentence.raw) for sentence in body),
        "title_length": len(title.raw),
        "sentences": len(body),
        "mean_word": sum(map(len, title.words)) / len(title.words),
    }


def letters(sentence: Sentence) -> Sentence:
    """A sentence whose words are its letters: what the second judge's n-gram model counts."""
    return Sentence(sentence.raw, tuple(squeeze(sentence.raw)) or ("|",), (), ())


def _of_sentence(
    sentence: Sentence, known: Sequence[frozenset[str]], whole: frozenset[str], asked: frozenset[str]
) -> tuple[float, float, float, float]:
    pieces = _pieces(sentence.raw, _LENGTH)
    size = max(len(pieces), 1)
    best = max((len(pieces & fact) for fact in known), default=0) / size
    inside = len(pieces & whole) / size
    only_asked = len((pieces & asked) - whole) / size
    return 1 - inside - only_asked, 1 - best, inside - best, only_asked


@remember(8)
def _pieces_of(brief: AdBrief, length: int) -> tuple[frozenset[str], ...]:
    return tuple(_pieces(fact.raw, length) for fact in brief_facts(brief).own)


def _pieces(value: str, length: int) -> frozenset[str]:
    run = squeeze(value)
    return frozenset(run[at : at + length] for at in range(max(len(run) - length + 1, 1)))
