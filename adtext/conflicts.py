"""What an advertiser's own rules contradict: its own names, each other, the packs, and the length of a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from adtext.advertiser import FORBIDDING, AdvertiserRules, OwnChecks, RequiredPhrase
from adtext.brief import LOCALES
from adtext.fold import squeeze, views
from adtext.rules import RULES, Rules
from adtext.spec import SPECS, TextSpec, load_spec, measure
from adtext.words import language_of


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why a rule is refused."""

    field: str  # path in the request body, such as excluded_terms.3
    value: str
    rule: str  # what it contradicts, by name
    detail: str


def conflicts(own: OwnChecks, advertiser: str, brands: Iterable[str], rules: Rules) -> list[Conflict]:
    """Every contradiction; `brands` are the names that the advertiser's briefs hold."""
    return [
        *_unreadable(own.rules),
        *_own_names(own, dict.fromkeys((advertiser, *brands, *own.rules.trademarks))),
        *_required_and_forbidden(own, rules),
        *_too_long(own.rules),
    ]


def _unreadable(rules: AdvertiserRules) -> Iterator[Conflict]:
    """A term of signs alone would be found everywhere or nowhere."""
    wordings = [
        *((f"excluded_terms.{number}", term) for number, term in enumerate(rules.excluded_terms)),
        *(
            (f"restrictions.{number}", word)
            for number, restriction in enumerate(rules.restrictions)
            for word in (*restriction.words, *restriction.near)
        ),
        *((f"trademarks.{number}", name) for number, name in enumerate(rules.trademarks)),
        *((f"required_phrases.{number}", required.phrase) for number, required in enumerate(rules.required_phrases)),
        *((f"evidence.{number}", evidence.claim) for number, evidence in enumerate(rules.evidence)),
    ]
    for field, value in wordings:
        if not squeeze(value):
            yield Conflict(field, value, "no_words", "holds no letter and no digit: write a word or a phrase")


def _own_names(own: OwnChecks, names: Iterable[str]) -> Iterator[Conflict]:
    for name in names:
        for hit in own.lexicon.find(views(name), language_of(name)):
            if hit.entry.rule in FORBIDDING:
                detail = f"forbids the advertiser's own name {name!r}: every text that names it would be blocked"
                yield Conflict(hit.entry.category, hit.entry.concept, "forbids_own_name", detail)


def _required_and_forbidden(own: OwnChecks, rules: Rules) -> Iterator[Conflict]:
    for number, required in enumerate(own.rules.required_phrases):
        field, language = f"required_phrases.{number}.phrase", language_of(required.phrase)
        text = views(required.phrase)
        for hit in own.lexicon.find(text, language):
            if hit.entry.rule in FORBIDDING:
                detail = f"is required, and {hit.entry.category} ({hit.entry.concept!r}) forbids it"
                yield Conflict(field, required.phrase, "required_and_forbidden", detail)
        for entry, span, denied in rules.lexicon.find(text, language):
            everywhere = not (entry.only_supports or entry.industries or entry.products or entry.allowed_for)
            blocks = entry.severity == "block" and entry.rule not in rules.switches and RULES[entry.rule] == "risk"
            if everywhere and blocks and not denied:
                quote = required.phrase[span.start : span.end]
                detail = f"is required, and {entry.rule} blocks {quote!r}: {entry.reason} ({entry.source})"
                yield Conflict(field, required.phrase, "required_and_blocked", detail)
                break


def _too_long(rules: AdvertiserRules) -> Iterator[Conflict]:
    """Phrases that no platform has room for, alone or beside those before them."""
    specs = [load_spec(name) for name in SPECS]
    for locale in LOCALES:
        chosen: list[RequiredPhrase] = []
        for number, required in enumerate(rules.required_phrases):
            if required.locales and locale not in required.locales:
                continue
            if any(_fit([*chosen, required], spec) for spec in specs):
                chosen.append(required)
                continue
            together = " together with the phrases before it" if _alone(required, specs) else ""
            detail = f"no platform has room for it{together} ({locale}): shorten it"
            yield Conflict(f"required_phrases.{number}.phrase", required.phrase, "no_room", detail)


def _alone(required: RequiredPhrase, specs: Iterable[TextSpec]) -> bool:
    return any(_fit([required], spec) for spec in specs)


def _fit(phrases: Iterable[RequiredPhrase], spec: TextSpec) -> bool:
    """Whether the platform's fields hold all phrases, a space between two; the longest placed first."""
    room = {name: limits.max for name, limits in spec.fields.items()}
    for required in sorted(phrases, key=lambda required: (required.field == "any", -len(required.phrase))):
        for name, limits in spec.fields.items():
            length = measure(required.phrase, limits.mode)
            if required.field in ("any", name) and length <= room[name]:
                room[name] -= length + 1
                break
        else:
            return False
    return True
