"""Asset sets: headlines and descriptions that the ad platform combines freely into one ad.

Every asset must stand alone, and every combination that the platform may show must be a text that may be shown. So a
set is built asset by asset, and each new one is checked with all that are in it: headline with description under the
platform's own limits, two of one kind joined in both orders as the platform joins them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, get_args

from adtext.advertiser import OwnHits
from adtext.amounts import Amount, amounts
from adtext.brief import AdBrief, AdText
from adtext.checks import Finding, check
from adtext.context import context
from adtext.fold import fold, squeeze, views
from adtext.idioms import is_claim
from adtext.ngrams import NEAR_DUPLICATE, units
from adtext.rules import Rules
from adtext.spec import TextSpec
from adtext.words import Words

Kind = Literal["headline", "description"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LeftOut = Literal["blocked", "held_for_review", "withdrawn", "repeats", "contradicts", "combination", "judge", "enough"]


@dataclass(frozen=True, slots=True)
class AssetLimits:
    """How many assets of each kind a platform takes for one ad, at least and at most."""

    headline: tuple[int, int]
    description: tuple[int, int]
    source: str

    def of(self, kind: Kind) -> tuple[int, int]:
        return self.headline if kind == "headline" else self.description


# platforms that combine assets; the lengths are those of the platform's spec
ASSETS = MappingProxyType(
    {
        "google_rsa": AssetLimits(
            headline=(3, 15),
            description=(2, 4),
            source="Google Ads Help, About responsive search ads (support.google.com/google-ads/answer/7684791)",
        )
    }
)
_FIELDS: dict[Kind, str] = {"headline": "title", "description": "description"}
_JOINS: dict[Kind, str] = {"headline": " | ", "description": " "}  # as the platform shows two of a kind
_PART = re.compile(r"[.!?](?=\s|$)|[。！？|｜]|: ")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line that may become an asset. Lower tiers are used first."""

    kind: Kind
    value: str
    tier: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """The candidates of a set, and why the others are not in it."""

    assets: tuple[Candidate, ...]
    left_out: dict[Kind, Counter[LeftOut]]

    def of(self, kind: Kind) -> list[Candidate]:
        return [asset for asset in self.assets if asset.kind == kind]


def choose(
    candidates: Sequence[Candidate],
    brief: AdBrief,
    spec: TextSpec,
    rules: Rules,
    *,
    withdrawn: Collection[str] = (),
    refused: Collection[tuple[str, str]] = (),
) -> Chosen:
    """The largest part of the candidates, greedily, in which every combination is clean and nothing is said twice.

    The least that the platform needs of each kind comes first, then as much as it takes. Within a tier, the candidate
    with the largest share of words that the set does not hold yet is next. `withdrawn`: squeezed lines that may not
    appear. `refused`: (headline, description) that may not be shown together, for a reason that the checks do not know.
    """
    limits, growing = ASSETS[spec.name], _Set(brief, spec, rules, frozenset(withdrawn), frozenset(refused))
    left_out: dict[Kind, Counter[LeftOut]] = {kind: Counter() for kind in KINDS}
    waiting = {kind: [candidate for candidate in candidates if candidate.kind == kind] for kind in KINDS}
    for step in (0, 1):
        for kind in KINDS:
            left_out[kind] += growing.fill(kind, waiting[kind], limits.of(kind)[step])
    for kind in KINDS:
        left_out[kind]["enough"] = len(waiting[kind])
    return Chosen(tuple(growing.assets), {kind: +counts for kind, counts in left_out.items()})


@dataclass(slots=True)
class _Set:
    """Assets that go together."""

    brief: AdBrief
    spec: TextSpec
    rules: Rules
    withdrawn: frozenset[str]
    refused: frozenset[tuple[str, str]]
    assets: list[Candidate] = field(default_factory=list)

    def of(self, kind: Kind) -> list[Candidate]:
        return [asset for asset in self.assets if asset.kind == kind]

    def fill(self, kind: Kind, waiting: list[Candidate], most: int) -> Counter[LeftOut]:
        """Move candidates into the set until it holds `most` of the kind; why others left `waiting`. What does not go
        with the set now never will: it only grows.
        """
        left_out: Counter[LeftOut] = Counter()
        while waiting and len(self.of(kind)) < most:
            said = frozenset(word for asset in self.of(kind) for word in units(asset.value))
            candidate = min(waiting, key=lambda candidate: (candidate.tier, -_new_share(candidate.value, said)))
            waiting.remove(candidate)
            if (why := self.refuses(candidate)) is None:
                self.assets.append(candidate)
            else:
                left_out[why] += 1
        return left_out

    def refuses(self, candidate: Candidate) -> LeftOut | None:
        """Why the candidate cannot join the set; None where it can."""
        if squeeze(candidate.value) in self.withdrawn:
            return "withdrawn"
        alone = list(self._alone(candidate))
        if alone:
            return "blocked" if any(finding.severity == "block" for finding in alone) else "held_for_review"
        if self._lacks_phrase(candidate):
            return "blocked"
        if any(repeats(candidate, asset) for asset in self.assets):
            return "repeats"
        if any(contradicts(candidate.value, asset.value, self.brief.language) for asset in self.assets):
            return "contradicts"
        if any(self._pair(candidate, asset) in self.refused for asset in self.assets if asset.kind != candidate.kind):
            return "judge"
        if any(self._clash(candidate, asset) for asset in self.assets):
            return "combination"
        return None

    def _alone(self, candidate: Candidate) -> Iterator[Finding]:
        """What the checks hold against the line alone. Phrases that the advertiser requires are a matter of the ad."""
        name = _FIELDS[candidate.kind]
        text = AdText(title="", description="").model_copy(update={name: candidate.value})
        for finding in check(text, self.brief, self.spec, self.rules):
            if finding.field == name and finding.severity != "warn" and finding.rule != "required_phrase":
                yield finding

    def _lacks_phrase(self, candidate: Candidate) -> bool:
        """Whether an ad with this asset may lack a phrase that the advertiser requires. A phrase that may stand
        anywhere must stand in every description: any one of them may be shown alone.
        """
        if self.rules.own is None:
            return False
        hits = OwnHits(self.rules.own, views(candidate.value), self.brief.language)
        places = ("title",) if candidate.kind == "headline" else ("description", "any")
        return any(
            required.field in places
            and (not required.locales or self.brief.locale in required.locales)
            and not hits.says(number)
            for number, required in enumerate(self.rules.own.rules.required_phrases)
        )

    def _clash(self, line: Candidate, other: Candidate) -> bool:
        """Whether the checks hold something against the two together that is more than a warning."""
        if line.kind != other.kind:
            headline, description = self._pair(line, other)
            texts = [AdText(title=headline, description=description)]
            return any(_held(check(text, self.brief, self.spec, self.rules)) for text in texts)
        name, wide = _FIELDS[line.kind], _wide(self.spec)
        for first, second in ((line, other), (other, line)):
            joined = _JOINS[line.kind].join((first.value, second.value))
            text = AdText(title="", description="").model_copy(update={name: joined})
            findings = check(text, self.brief, wide, self.rules)
            if _held(finding for finding in findings if finding.field == name and finding.rule != "required_phrase"):
                return True
        return False

    @staticmethod
    def _pair(line: Candidate, other: Candidate) -> tuple[str, str]:
        return (line.value, other.value) if line.kind == "headline" else (other.value, line.value)


def repeats(line: Candidate, other: Candidate) -> bool:
    """Whether an ad with both says something twice: nearly the same line, a sentence of one in the other, or a headline
    that holds the other.
    """
    if not _parts(line.value).isdisjoint(_parts(other.value)):
        return True
    if line.kind != other.kind:
        return False
    first, second = set(units(line.value)), set(units(other.value))
    if len(first & second) >= NEAR_DUPLICATE * len(first | second):
        return True
    shorter, longer = sorted((squeeze(line.value), squeeze(other.value)), key=len)
    return line.kind == "headline" and shorter in longer


def contradicts(line: str, other: str, language: str) -> bool:
    """Whether the two lines state different amounts of the same unit about the same thing, such as two prices of one
    service. Each may stand in the brief, but not both in one ad.
    """
    firsts, seconds = _claims(line, language), _claims(other, language)
    return any(
        first.unit == second.unit
        and _same_thing(words, others)
        and first.key not in {amount.key for amount, _ in seconds}
        and second.key not in {amount.key for amount, _ in firsts}
        for first, words in firsts
        for second, others in seconds
    )


def _claims(value: str, language: str) -> list[tuple[Amount, frozenset[str]]]:
    """The amounts of a line that claim something, each with the words around it."""
    folded = fold(value).text
    words = Words(folded, language)
    return [
        (amount, context(folded, amount).words)
        for amount in amounts(folded)
        if amount.kind != "vague" and is_claim(amount, folded, words)
    ]


def _same_thing(words: frozenset[str], others: frozenset[str]) -> bool:
    """Whether two contexts share a word, or two Chinese or Japanese characters."""
    shared = words & others
    return len(shared) > 1 or any(word.isascii() for word in shared)


def _parts(value: str) -> set[str]:
    """The sentences of a line and what its bars and colons part, without spaces and signs."""
    return {squeezed for part in _PART.split(value) if (squeezed := squeeze(part))}


def _new_share(value: str, said: frozenset[str]) -> float:
    words = set(units(value))
    return len(words - said) / len(words) if words else 0.0


def _held(findings: Sequence[Finding] | Iterator[Finding]) -> bool:
    return any(finding.severity != "warn" for finding in findings)


def _wide(spec: TextSpec) -> TextSpec:
    """The spec with room for several assets in a field; what is no matter of length stays as it is."""
    fields = {name: replace(limits, max=8 * limits.max) for name, limits in spec.fields.items()}
    return replace(spec, fields=MappingProxyType(fields))
