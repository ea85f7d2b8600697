"""No Chinese or Japanese term fires inside a dictionary word that merely contains it."""

from __future__ import annotations

import pytest
import rjieba
from ahocorasick_rs import AhoCorasick
from sudachipy import Dictionary

from adtext.fold import fold, views
from adtext.rules import load_rules

RULES = load_rules()
# words in which the term says what it says alone: forms of one verb, and a name spelled out
SAME = {"死ね", "酔いつぶれ", "割引", "チョン", "レゴ", "手缝", "阴道"}
CUT_BY_SUDACHI = {"贈つ", "贈・収賄"}  # its own dictionary has them, its segmenter does not find them


def dictionary() -> list[str]:
    """Words of two to twelve characters."""
    return sorted({word.surface() for word in Dictionary(dict="small").entries() if 2 <= len(word.surface()) <= 12})


WORDS = dictionary()


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_a_term_does_not_fire_inside_a_longer_word(language: str) -> None:
    entries = {
        fold(entry.term).text: entry
        for entry in RULES.lexicon.entries
        if entry.kind == "term" and not entry.only_supports and (not entry.languages or language in entry.languages)
    }
    terms = [term for term in entries if term[:1] > "\u2fff"]
    find = AhoCorasick(terms).find_matches_as_indexes
    words = [word for word in WORDS if language == "ja" or rjieba.has_word(word)]
    colliding = {
        (word, terms[number])
        for word in words
        for number, start, end in find(word.translate(TABLE), overlapping=True)
        if end - start < len(word)
    }
    fired = {
        (word, term)
        for word, term in colliding
        if any(hit.entry is entries[term] and not hit.denied for hit in RULES.lexicon.find(views(word), language))
    }
    assert len(colliding) > 5
    assert sorted((word, term) for word, term in fired if term not in SAME and word not in CUT_BY_SUDACHI) == []


# every character of the dictionary as folding writes it
TABLE = {ord(char): fold(char).text for char in set("".join(WORDS)) if len(fold(char).text) == 1}
