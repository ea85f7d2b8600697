"""What the packs offer instead is itself allowed, and each language has enough of it."""

from __future__ import annotations

from builders import A_SPEC, a_brief, an_ad

from adtext.checks import check
from adtext.fold import views
from adtext.rules import load_rules
from adtext.words import language_of

RULES = load_rules()
SUGGESTED = [(entry.term, entry.suggestion) for entry in RULES.lexicon.entries if entry.suggestion]


def test_no_suggestion_is_itself_an_offence() -> None:
    refused = []
    for term, suggestion in SUGGESTED:
        for hit in RULES.lexicon.find(views(suggestion), language_of(term)):
            if hit.entry.severity == "block" and not (hit.denied or hit.entry.only_supports):
                refused.append((term, suggestion, hit.entry.term))
    assert refused == []


def test_each_language_has_forty_suggestions() -> None:
    english = [term for term, _ in SUGGESTED if term.isascii() and "No" not in term and "NO" not in term]
    japanese = {entry.term for entry in RULES.lexicon.entries if entry.suggestion and "ja" in entry.languages}
    chinese = {entry.term for entry in RULES.lexicon.entries if entry.suggestion and "zh" in entry.languages}
    assert min(len(english), len(japanese), len(chinese)) >= 40


def test_a_finding_says_what_to_write_instead() -> None:
    (finding, *_) = check(an_ad(title="最便宜的宽楦跑鞋"), a_brief(), A_SPEC, RULES)
    assert (finding.quote, finding.suggestion) == ("最便宜", "价格实惠")
