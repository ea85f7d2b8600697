"""What the rules are, for those who read them: packs, entries, and how each rule fared with reviewers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from adtext.fold import fold
from adtext.rules import RULES, UNSWITCHABLE, Rules, Switch
from app.store import rules as store
from app.store.database import AsyncConnection

DAYS = 7  # over which findings are counted


@dataclass(frozen=True, slots=True)
class PackLine:
    """A pack as lists show it."""

    name: str
    version: str
    source: str
    entries: int


@dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry as lists show it."""

    term: str
    kind: str
    rule: str
    severity: str
    category: str
    languages: list[str]
    reason: str
    source: str
    suggestion: str | None
    pack: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A rule, its switch, and its findings in kept texts of the last `DAYS` days."""

    rule: str
    kind: str
    switch: Switch | None
    switchable: bool
    reason: str | None
    actor: str | None
    changed_at: datetime | None
    texts: int
    decided: int
    overruled: int

    @property
    def overrule_rate(self) -> float | None:
        return self.overruled / self.decided if self.decided else None


def packs(rules: Rules) -> list[PackLine]:
    return [PackLine(pack.name, pack.version, pack.source, len(pack.entries)) for pack in rules.packs]


def search(rules: Rules, words: str) -> list[EntryLine]:
    """The entries whose term, rule, category, reason or source holds all the words, by pack."""
    wanted = fold(words).text.split()
    return [
        EntryLine(
            entry.term,
            entry.kind,
            entry.rule,
            entry.severity,
            entry.category,
            sorted(entry.languages),
            entry.reason,
            entry.source,
            entry.suggestion,
            pack.name,
        )
        for pack in rules.packs
        for entry in pack.entries
        if _holds(fold("\n".join((entry.term, entry.rule, entry.category, entry.reason, entry.source))).text, wanted)
    ]


def _holds(folded: str, wanted: list[str]) -> bool:
    return all(word in folded for word in wanted)


async def standings(connection: AsyncConnection, rules: Rules, advertiser: str | None) -> list[Standing]:
    """Every rule, the most findings first; counted over texts of all advertisers (None) or of one."""
    switched = {row.rule: row for row in await store.switched_rules(connection)}
    counted = await store.findings_by_rule(connection, DAYS, advertiser)
    lines = []
    for rule, kind in RULES.items():
        row = switched.get(rule)
        lines.append(
            Standing(
                rule=rule,
                kind=kind,
                switch=rules.switches.get(rule),
                switchable=rule not in UNSWITCHABLE,
                reason=row.reason if row else None,
                actor=row.actor if row else None,
                changed_at=row.changed_at if row else None,
                **counted.get(rule, {"texts": 0, "decided": 0, "overruled": 0}),
            )
        )
    return sorted(lines, key=lambda line: (-line.texts, line.rule))
