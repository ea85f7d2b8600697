"""(brief, text) → the features that a judge reads."""

from __future__ import annotations

from adtext.brief import AdBrief, AdText
from trainer.scoring.answers import answers
from trainer.scoring.facts import Sentence, brief_facts, described, sentence
from trainer.scoring.fluency import Grams, fluency
from trainer.scoring.form import form
from trainer.scoring.grounding import grounding
from trainer.scoring.overlap import letters, overlap
from trainer.scoring.subject import subject

FEATURES = ("words", "letters")  # feature sets: the judge's, the second judge's


def features(kind: str, brief: AdBrief, text: AdText, grams: Grams) -> dict[str, float]:
    """Every feature of one text, by name, in one order."""
    facts, title, body = brief_facts(brief), sentence(text.title), described(text)
    if not title.words:
        title = _NOTHING
    if kind == "letters":
        return overlap(brief, title, body, facts, grams)
    return (
        grounding(title, body, facts)
        | fluency(title, body, facts, grams)
        | answers(title, body, facts)
        | subject(brief, title, body, facts)
        | form(brief, title, body, facts)
    )


def spelled(kind: str, value: Sentence) -> Sentence:
    """A sentence as the n-gram model of this kind counts it: by words or by letters."""
    return letters(value) if kind == "letters" else value


_NOTHING = sentence("nothing")
