"""An advertiser's own rules: terms it never says, restrictions, names it may use, phrases it must say, evidence for
claims that ask for proof. They are compiled to the same lexicon as the packs, so that they match words, in every
spelling, in three languages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from adtext.brief import Id, Line, Locale
from adtext.fold import Cover, Span, Views
from adtext.lexicon import Entry, Lexicon
from adtext.reasons import Finding

MOST_TERMS, MOST_RESTRICTIONS, MOST_NAMES, MOST_PHRASES, MOST_EVIDENCE = 25, 40, 40, 10, 100
NEAR = 24  # characters between the two sides of a restriction
SOURCE = "The advertiser's own rules"

Term = Annotated[Line, Field(min_length=1, max_length=80)]
Strictness = Literal["block", "review"]


class Restriction(BaseModel):
    """What texts must not say, in the advertiser's words, and the words by which it is found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Annotated[Line, Field(min_length=1, max_length=300, description="Why, as a reviewer reads it.")]
    words: Annotated[tuple[Term, ...], Field(min_length=1, max_length=20, description="Any of these breaks it.")]
    near: tuple[Term, ...] = Field(
        default=(),
        max_length=20,
        description=f"Only where one of these stands within {NEAR} characters in the same clause.",
    )
    severity: Strictness = "block"


class RequiredPhrase(BaseModel):
    """A phrase that every text must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phrase: Annotated[Line, Field(min_length=1, max_length=200)]
    field: Literal["any", "title", "description", "description_2"] = Field(
        default="any", description="Where it must stand."
    )
    locales: tuple[Locale, ...] = Field(default=(), max_length=5, description="Empty: in every locale.")


class Evidence(BaseModel):
    """A claim that the advertiser can prove."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id = Field(description="How the advertiser files the proof.")
    claim: Annotated[
        Line,
        Field(min_length=1, max_length=120, description="The wording that is proved; a finding inside it is answered."),
    ]


class AdvertiserRules(BaseModel):
    """The body of `PUT /advertisers/{id}/rules`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    excluded_terms: tuple[Term, ...] = Field(
        default=(), max_length=MOST_TERMS, description="Words and phrases that no text may hold."
    )
    restrictions: tuple[Restriction, ...] = Field(default=(), max_length=MOST_RESTRICTIONS)
    trademarks: tuple[Term, ...] = Field(
        default=(), max_length=MOST_NAMES, description="Names that texts may use though the brief does not hold them."
    )
    required_phrases: tuple[RequiredPhrase, ...] = Field(default=(), max_length=MOST_PHRASES)
    evidence: tuple[Evidence, ...] = Field(default=(), max_length=MOST_EVIDENCE)

    @property
    def digest(self) -> str:
        """The version: equal for equal rules."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:10]


class OwnChecks:
    """The rules of one advertiser, compiled. Building takes a millisecond: kept by version."""

    def __init__(self, rules: AdvertiserRules) -> None:
        self.rules, self.version = rules, rules.digest
        classes: dict[str, Sequence[str]] = {}
        self.lexicon = Lexicon(list(_entries(rules, classes)), classes)


def _entries(rules: AdvertiserRules, classes: dict[str, Sequence[str]]) -> Iterator[Entry]:
    """One entry for each wording; `category` is the field that it comes from, `concept` what it stands for."""
    for number, term in enumerate(rules.excluded_terms):
        reason = "a term that the advertiser excludes"
        yield Entry(term, "excluded_term", "block", reason, SOURCE, f"excluded_terms.{number}", term)
    for number, restriction in enumerate(rules.restrictions):
        shared = ("restriction", restriction.severity, restriction.reason, SOURCE, f"restrictions.{number}")
        if not restriction.near:
            yield from (Entry(word, *shared, word) for word in restriction.words)
            continue
        first, second = f"own.words_{number}", f"own.near_{number}"
        classes[first], classes[second] = restriction.words, restriction.near
        for family in (f"{first} > {second} {NEAR}", f"{second} > {first} {NEAR}"):
            yield Entry(family, *shared, ", ".join(restriction.words), kind="family")
    for number, name in enumerate(rules.trademarks):
        yield Entry(name, _TRADEMARK, "warn", "", SOURCE, f"trademarks.{number}", name)
    for number, required in enumerate(rules.required_phrases):
        yield Entry(required.phrase, _REQUIRED, "block", "", SOURCE, f"required_phrases.{number}", str(number))
    for number, evidence in enumerate(rules.evidence):
        yield Entry(evidence.claim, _EVIDENCE, "warn", "", SOURCE, f"evidence.{number}", evidence.id)


_TRADEMARK, _REQUIRED, _EVIDENCE = "trademark", "required_phrase", "evidence"
FORBIDDING = frozenset({"excluded_term", "restriction"})


class OwnHits:
    """Where an advertiser's rules meet one field of a text."""

    def __init__(self, own: OwnChecks | None, text: Views | None, language: str) -> None:
        self._hits = own.lexicon.find(text, language) if own is not None and text is not None else []
        self.trademarks = [hit.span for hit in self._hits if hit.entry.rule == _TRADEMARK]
        self._evidence = [(Cover([hit.span]), hit.entry.concept) for hit in self._hits if hit.entry.rule == _EVIDENCE]

    def findings(self, field: str, raw: str) -> Iterator[Finding]:
        """Excluded terms and restrictions. The words around excuse none: what is excluded is not said at all."""
        for entry, span, _ in self._hits:
            if entry.rule in FORBIDDING:
                quote = raw[span.start : span.end]
                yield Finding(entry.rule, field, span, quote, entry.severity, entry.reason, entry.source)

    def proof_of(self, span: Span) -> str | None:
        """The evidence whose claim holds this span."""
        return next((evidence for cover, evidence in self._evidence if cover.holds(*span)), None)

    def says(self, number: int) -> bool:
        """Whether the required phrase with this number stands here, not denied."""
        return any(
            hit.entry.rule == _REQUIRED and hit.entry.concept == str(number) and not hit.denied for hit in self._hits
        )


NO_HITS = OwnHits(None, None, "")


def missing_phrases(
    own: OwnChecks, locale: str, fields: Sequence[tuple[str, Views]], hits: Sequence[OwnHits]
) -> Iterator[Finding]:
    """A finding over the last field for each required phrase of the locale that stands nowhere it may."""
    last, view = fields[-1]
    for number, required in enumerate(own.rules.required_phrases):
        if required.locales and locale not in required.locales:
            continue
        places = [name for name, _ in fields if required.field in ("any", name)]
        if not any(hit.says(number) for (name, _), hit in zip(fields, hits, strict=True) if name in places):
            reason = f"lacks a phrase that the advertiser requires: {required.phrase}"
            span = Span(0, len(view.raw))
            yield Finding("required_phrase", last, span, view.raw, "block", reason, SOURCE, required.phrase)
