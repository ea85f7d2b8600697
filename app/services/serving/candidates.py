"""Raw completions → texts that may be kept: parsed, checked, deduplicated, scored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import regex

from adtext.brief import AdBrief, AdText, wording
from adtext.checks import Finding, check, is_compliant
from adtext.fold import squeeze
from adtext.grounding import promises_in
from adtext.lexicon import Lexicon
from adtext.prompt import parse
from adtext.remember import remember
from adtext.rules import Rules
from adtext.spec import TextSpec
from app.services.serving.support import unsupported_words

# the lowest score of a text that is kept: a text below it is about something else, such as a worked example
ABOUT = 0.8
_BROKEN_OFF = regex.compile(
    r"\b(?:a|an|and|as|at|by|for|from|in|is|of|on|or|our|the|to|with|your)[.,]?$", regex.IGNORECASE
)
_SENTENCE = regex.compile(r"(?<=[.!?。！？])\s*")
_WORD = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]|[\p{L}\p{N}]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    text: AdText
    findings: Sequence[Finding]
    score: float

    @property
    def needs_review(self) -> bool:
        return any(finding.severity == "review" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Vetted:
    kept: Sequence[Candidate]  # compliant, relevant, distinct and without an echoed promise; best first
    candidates: int  # raw completions
    compliant: int  # candidates that parsed and have no blocking finding: the numerator of eq. 11


def vet(completions: Iterable[str], brief: AdBrief, spec: TextSpec, rules: Rules, *, cut: int = 0) -> Vetted:
    """Check the raw completions of one brief. A completion that does not parse is a candidate that is not compliant,
    and so is each of the `cut` completions that the token limit broke off.
    """
    promised = _promised(brief, rules.lexicon)
    candidates, compliant = cut, 0
    kept: dict[str, Candidate] = {}
    for completion in completions:
        candidates += 1
        text = parse(completion, brief.language)
        if text is None:
            continue
        candidate = compliant_candidate(text, brief, spec, rules)
        if candidate is None:
            continue
        compliant += 1
        if candidate.score >= ABOUT and _presentable(text, brief, promised):
            kept.setdefault(wording(text), candidate)
    return Vetted(sorted(kept.values(), key=lambda candidate: -candidate.score), candidates, compliant)


def _presentable(text: AdText, brief: AdBrief, promised: frozenset[str]) -> bool:
    """Whether the text echoes no promise, invents nothing, repeats no sentence and is complete."""
    values = [value for _, value in text.fields()]
    if not promised.isdisjoint(_content(values)) or any(_BROKEN_OFF.search(value) for value in values):
        return False
    sentences = [squeeze(sentence) for value in values for sentence in _SENTENCE.split(value) if squeeze(sentence)]
    return len(set(sentences)) == len(sentences) and not (brief.language == "en" and unsupported_words(text, brief))


def compliant_candidate(text: AdText, brief: AdBrief, spec: TextSpec, rules: Rules) -> Candidate | None:
    """The text with its findings and score; None where a finding blocks it."""
    findings = check(text, brief, spec, rules)
    return Candidate(text, findings, score(text, brief)) if is_compliant(findings) else None


def score(text: AdText, brief: AdBrief) -> float:
    """The share of the text's content words that the brief contains, in [0, 1]; 0 where the title names nothing that is
    searched for or sold.

    It measures relevance where no reward model ranks.
    """
    facts, sold = (
        set(_content(brief.facts())),
        _content((brief.query, *brief.bidwords, brief.ad.advertiser, brief.ad.business)),
    )
    if set(sold).isdisjoint(_content((text.title,))):
        return 0.0
    words = _content(value for _, value in text.fields())
    return sum(word in facts for word in words) / len(words)


@remember(16)
def _promised(brief: AdBrief, lexicon: Lexicon) -> frozenset[str]:
    """Words that occur in the brief only inside promises that no ad may make: a text with one of them echoes the
    promise.

    Only alphabetic words of five or more letters: shorter words and single characters are too common.
    """
    inside, outside = [], []
    for value in brief.facts():
        end = 0
        for span in sorted(promises_in(value, lexicon, brief.language)):
            inside.append(value[span.start : span.end])
            outside.append(value[end : span.start])
            end = max(end, span.end)
        outside.append(value[end:])
    telling = {word for word in _content(inside) if word.isascii() and len(word) > 4}
    return frozenset(telling.difference(_content(outside)))


def _content(values: Iterable[str]) -> list[str]:
    """The content words of a text: longer than three letters, or a Chinese or Japanese character."""
    return [word for word in _WORD.findall(" ".join(values).casefold()) if len(word) > 3 or not word.isascii()]
