"""The one definition of a compliant ad text: every reason why it may not be shown, with its place in the text.

The live filter rejects on a finding, the reward charges the tokens that wrote it, evaluation counts its absence, and a
reviewer sees it underlined.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from adtext.advertiser import NO_HITS, OwnHits, missing_phrases
from adtext.brief import AdBrief, AdText
from adtext.contacts import contacts_in
from adtext.editorial import editorial, language
from adtext.fold import Cover, Span, Views, views
from adtext.grounding import CANARY, Facts, facts, ungrounded
from adtext.lexicon import Hit, Severity
from adtext.places import places
from adtext.products import product_classes
from adtext.reasons import Finding, broken
from adtext.rules import RULES, Kind, Rules
from adtext.spec import FieldSpec, TextSpec, measure, shown

MOST_PER_RULE = 20  # findings of one rule in one field: nobody reads more, and an answer stays small

__all__ = [
    "RULES", "Examined", "Finding", "Kind", "Proof", "Severity", "Span", "check", "examine", "is_clean", "is_compliant",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proof:
    """A claim that asks for proof, and the advertiser's evidence that answers for it: no finding."""

    evidence: str  # the id that the advertiser's rules give it
    rule: str
    field: str
    span: Span
    quote: str


@dataclass(frozen=True, slots=True)
class Examined:
    """What the checks say of one text."""

    findings: list[Finding]
    proofs: list[Proof]


def check(text: AdText, brief: AdBrief, spec: TextSpec, rules: Rules) -> list[Finding]:
    """Every finding of a text written for `brief` on the platform `spec`, in reading order; of nested ones of one rule,
    the longest.

    Pure and fast: the brief's facts are read once and kept, the rest takes a fraction of a millisecond.
    """
    return examine(text, brief, spec, rules).findings


def examine(text: AdText, brief: AdBrief, spec: TextSpec, rules: Rules) -> Examined:
    """The findings of `check`, and the claims that the advertiser's evidence proves."""
    known = facts(brief, rules.lexicon)
    fields = [(name, views(value)) for name, value in text.fields()]
    findings = [*_absent(spec, {name for name, _ in fields}), *_repeated(fields), *_not_japanese(fields, brief)]
    findings += _missing_disclaimers(fields, known, brief)
    proofs: list[Proof] = []
    own = [OwnHits(rules.own, view, brief.language) for _, view in fields] if rules.own else [NO_HITS] * len(fields)
    if rules.own:
        findings += missing_phrases(rules.own, brief.locale, fields, own)
    for (name, view), owned in zip(fields, own, strict=True):
        limits = spec.fields.get(name)
        hits = [hit for hit in rules.lexicon.find(view, brief.language) if _applies(hit, brief, known)]
        form = list(editorial(view, known, brief.locale, max_exclamations=limits.max_exclamations if limits else 1))
        judged = [hit.span for hit in hits] + [span for rule, span in form if rule == "phone_number"]
        contacts = list(contacts_in(view, known))
        judged += [span for _, span in contacts]
        coded = [*form, *contacts, *language(view, known, brief.locale), *_canaries(view)]
        coded += [*ungrounded(view, known, judged, brief.language), *places(view, known, brief.language)]
        found = [
            *_length(name, view.raw, limits),
            *_risk(name, view, hits, known, owned, proofs),
            *(broken(rule, name, view.raw, span) for rule, span in coded),
            *owned.findings(name, view.raw),
        ]
        findings += _outermost(found)
    order = {name: number for number, (name, _) in enumerate(fields)}
    ordered = sorted(findings, key=lambda finding: (order.get(finding.field, len(order)), finding.span, finding.rule))
    return Examined(_as_switched(ordered, rules), proofs)


def _as_switched(findings: list[Finding], rules: Rules) -> list[Finding]:
    """Without the findings of rules that are switched off; those of rules switched to review block nothing."""
    if not rules.switches:
        return findings
    return [
        replace(finding, severity="review") if switch == "review" and finding.severity == "block" else finding
        for finding in findings
        if (switch := rules.switches.get(finding.rule)) != "off"
    ]


def is_compliant(findings: Iterable[Finding]) -> bool:
    """True when nothing blocks: the only meaning of "compliant", in serving, training and evaluation."""
    return all(finding.severity != "block" for finding in findings)


def is_clean(findings: Iterable[Finding]) -> bool:
    """True when nothing blocks and nothing waits for a person."""
    return all(finding.severity == "warn" for finding in findings)


# ---- sections


def _absent(spec: TextSpec, present: set[str]) -> Iterator[Finding]:
    for name, limits in spec.fields.items():
        if limits.required and name not in present:
            yield broken("missing_field", name, "", Span(0, 0))


def _length(name: str, value: str, limits: FieldSpec | None) -> Iterator[Finding]:
    everything = Span(0, len(value))
    if limits is None:
        yield broken("extra_field", name, value, everything)
        return
    if not value.strip():
        yield broken("missing_field", name, value, everything)
        return
    length = measure(shown(value), limits.mode)
    if length < limits.min:
        yield broken("too_short", name, value, everything, f"{length} of at least {limits.min} ({limits.mode})")
    if length > limits.max:
        fits = bisect_right(range(len(value) + 1), limits.max, key=lambda end: measure(value[:end], limits.mode)) - 1
        yield broken(
            "too_long", name, value, Span(fits, len(value)), f"{length} of at most {limits.max} ({limits.mode})"
        )


def _repeated(fields: Sequence[tuple[str, Views]]) -> Iterator[Finding]:
    seen: set[str] = set()
    for name, view in fields:
        squeezed = view.squeezed_text
        if squeezed in seen:
            yield broken("repeated_field", name, view.raw, Span(0, len(view.raw)))
        if squeezed:
            seen.add(squeezed)


def _not_japanese(fields: Sequence[tuple[str, Views]], brief: AdBrief) -> Iterator[Finding]:
    """Chinese characters without any kana over a whole text are Chinese: a Japanese title may do without kana, a
    sentence cannot.
    """
    if brief.language != "ja":
        return
    written = "".join(view.raw for _, view in fields)
    if any("\u3041" <= char <= "\u30ff" for char in written):
        return
    if sum("\u3400" <= char <= "\u9fff" for char in written) >= _LONG_FOR_KANJI_ALONE:
        name, view = fields[-1]
        yield broken("wrong_language", name, view.raw, Span(0, len(view.raw)))


_LONG_FOR_KANJI_ALONE = 14  # characters


def _canaries(text: Views) -> Iterator[tuple[str, Span]]:
    for match in CANARY.finditer(text.folded.text):
        yield "canary", text.folded.raw_span(*match.span())


def _risk(
    name: str, text: Views, hits: Sequence[Hit], known: Facts, owned: OwnHits, proofs: list[Proof]
) -> Iterator[Finding]:
    """Entries that nothing excuses: offers and brands that the ad's facts do not affirm, claims outside the
    advertiser's own names that the words around do not deny. What the advertiser's evidence proves goes to `proofs`.
    """
    if not hits:
        return
    own = Cover([*_names_in(text, known), *owned.trademarks])
    for entry, span, denied in hits:
        reason, quote = entry.reason, text.raw[span.start : span.end]
        if RULES[entry.rule] == "grounding":
            if denied:
                if entry.concept not in known.concepts or entry.concept in known.denied:
                    continue
                reason = "says the opposite of the brief"
            elif entry.concept in known.concepts or (entry.rule == "ungrounded_brand" and own.holds(*span)):
                continue
        elif (denied and entry.rule not in _NEVER_DENIED) or own.holds(*span):
            continue
        if entry.needs_proof and entry.severity != "block" and (evidence := owned.proof_of(span)):
            if entry.severity == "review":
                proofs.append(Proof(evidence, entry.rule, name, span, quote))
            continue
        yield Finding(entry.rule, name, span, quote, entry.severity, reason, entry.source, entry.suggestion)


# words that may not stand in an ad, whatever the words around them say
_NEVER_DENIED = frozenset({"profanity", "prompt_residue", "solicitation", "clickbait", "placeholder"})


def _applies(hit: Hit, brief: AdBrief, known: Facts) -> bool:
    entry = hit.entry
    return (
        not entry.only_supports
        and (not entry.industries or brief.ad.industry in entry.industries)
        and (not entry.products or not entry.products.isdisjoint(known.products))
        and entry.allowed_for.isdisjoint(known.products)
    )


def _missing_disclaimers(fields: Sequence[tuple[str, Views]], known: Facts, brief: AdBrief) -> Iterator[Finding]:
    """A product class whose law asks for a statement, found neither in the text nor in the ad's facts."""
    name, view = fields[-1]
    for product in sorted(known.products):
        row = product_classes()[product]
        wanted = row.disclaimers.get(brief.language, ())
        if wanted and not any(
            words in known.text or any(words in other.folded.text for _, other in fields) for words in wanted
        ):
            yield Finding(
                "missing_disclaimer",
                name,
                Span(0, len(view.raw)),
                view.raw,
                "warn",
                f"an ad for this product ({product}) needs a statement such as {wanted[0]!r}, here or on its page",
                row.law,
            )


def _names_in(text: Views, known: Facts) -> Iterator[Span]:
    folded = text.folded.text
    for name in known.names:
        start = folded.find(name)
        while start >= 0:
            yield text.folded.raw_span(start, start + len(name))
            start = folded.find(name, start + len(name))


def _outermost(findings: Sequence[Finding]) -> list[Finding]:
    """Of findings with the same rule, those inside no other, the first of equals; at most `MOST_PER_RULE` of a rule."""
    kept: list[Finding] = []
    furthest: dict[str, int] = {}
    count: Counter[str] = Counter()
    for finding in sorted(findings, key=lambda finding: (finding.span.start, -finding.span.end)):
        if finding.span.end <= furthest.get(finding.rule, -1) or count[finding.rule] == MOST_PER_RULE:
            continue
        furthest[finding.rule] = finding.span.end
        count[finding.rule] += 1
        kept.append(finding)
    return kept
