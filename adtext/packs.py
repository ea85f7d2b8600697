"""Packs: TOML files of entries, one law or policy each, read and validated.

source = "Advertising Law of the PRC (2021), art. 9 (3)"      # a group may name its own
[class]
"en.cure" = { verbs = ["cure", "heal"] }     # a class of words: its language, a dot, its name; `words` or `verbs`
[[group]]
rule = "absolute_claim"                # a name in RULES
severity = "block"                     # block, review or warn
reason = "..."                         # what a reviewer reads
languages = ["zh"]                     # in which the words are written; absent: every language
industries = ["finance"]               # absent: every industry;  products and allowed_for name product classes
category = "superlative"               # a line of data/categories.txt
terms = ["最佳", ["free trial", "免费试用"]]     # an inner list is one concept: a brief with one wording grounds all
verbs = ["regrow hair", "シミが消える"]          # terms in every form of their verb, the first word (English) or the
                                       # last (Japanese)
families = ["en.cure > en.disease"]     # two classes in one clause, "~" for either order; "… 40" sets how many
                                       # characters may stand between
patterns = ['最.{1,3}的']               # regular expressions over the folded text
hints = ["最"]                          # patterns are only tried where one of these stands
excused_by = ["最近"]                   # wordings in which a term is no claim
concept = "free of charge"               # what a pattern says: a brief with any wording of this concept grounds it
needs_proof = true                      # an advertiser may say it who has evidence for it
suggestions = { "最佳" = "优质" }        # what to write instead of a term; of a family or pattern by its own spelling
hit = ["全国最佳火锅"]                   # the group finds these examples …
miss = ["最近的火锅店"]                  # … and not these; every group has one of each
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, get_args

import regex

from adtext import inflect
from adtext.brief import Industry, ProductClass
from adtext.fold import views
from adtext.lexicon import Entry, Lexicon, Severity
from adtext.words import language_of, lines


class PackError(ValueError):
    """A pack that cannot be read: names the file, the line, the value and the rule it breaks."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One file: its entries, its word classes, and the examples that prove them."""

    name: str
    version: str  # short hash of the file
    source: str  # the file's source; a group may name its own
    entries: Sequence[Entry]
    classes: Mapping[str, Sequence[str]]
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True)
class Example:
    """A wording that a group must find, or must not."""

    where: str
    text: str
    found: bool
    entries: tuple[int, int]  # first and last number of the group's entries within the pack
    language: str


_LISTS = {
    "languages", "industries", "products", "allowed_for", "terms", "verbs", "families", "patterns", "hints",
    "excused_by", "hit", "miss",
}  # fmt: skip
_GROUP_KEYS = {"rule", "concept", "severity", "reason", "source", "category", "needs_proof", "suggestions", *_LISTS}
_LANGUAGES = ("en", "zh", "ja")
_FAMILY = re.compile(r"\S+ [>~] \S+(?: [0-9]+)?")
_CLASS = re.compile(r"(?:en|zh|ja)\.[a-z_]+")


def read_pack(name: str, content: bytes, rules: Iterable[str]) -> Pack:
    """The entries of one file. Raises PackError."""
    try:
        text = content.decode()
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackError(f"{name}: {error}; a pack is a TOML file in UTF-8") from error
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines, start=1) if line.strip() == "[[group]]"]
    entries: list[Entry] = []
    examples: list[Example] = []
    for group, head in zip(table.get("group", []), heads, strict=False):
        location = _Location(name, lines, head)
        source = group.get("source", table.get("source", ""))
        _validate(location, group, source, rules)
        first = len(entries)
        entries += _entries(location, group, source)
        language = (group.get("languages") or [""])[0]
        examples += (
            Example(location.at(text, key), text, key == "hit", (first, len(entries)), language or language_of(text))
            for key in ("hit", "miss")
            for text in group.get(key, ())
        )
    version = sha256(content).hexdigest()[:12]
    source = table.get("source", "") or (entries[0].source if entries else "")
    return Pack(name, version, source, entries, _classes(_Location(name, lines, 1), table.get("class", {})), examples)


def compiled(packs: Sequence[Pack]) -> Lexicon:
    """The lexicon of all packs, each proved against its own examples. Raises PackError."""
    classes = {name: words for pack in packs for name, words in pack.classes.items()}
    for pack in packs:
        for entry in pack.entries:
            for member in re.split(" [>~] | [0-9]+$", entry.term) if entry.kind == "family" else ():
                if member and member not in classes:
                    raise PackError(
                        f"{pack.name}: family {entry.term!r} names the class {member!r}, which no pack defines"
                    )
    lexicon = Lexicon([entry for pack in packs for entry in pack.entries], classes)
    first = 0
    for pack in packs:
        for example in pack.examples:
            own = range(first + example.entries[0], first + example.entries[1])
            _prove(lexicon, example, own)
        first += len(pack.entries)
    return lexicon


def _prove(lexicon: Lexicon, example: Example, own: range) -> None:
    entries = set(lexicon.entries[own.start : own.stop])
    hits = lexicon.find(views(example.text), example.language)
    found = [hit.entry.term for hit in hits if not hit.denied and hit.entry in entries]
    if example.found and not found:
        raise PackError(f"{example.where}: the group does not find its example {example.text!r}")
    if found and not example.found:
        raise PackError(f"{example.where}: {found[0]!r} matches the counter-example {example.text!r}")


@dataclass(frozen=True, slots=True)
class _Location:
    """Where a group stands in its file, for messages."""

    name: str
    lines: Sequence[str]
    head: int  # the line of its [[group]]

    def at(self, value: object = None, key: str = "") -> str:
        """The file and the line of a value of the group, of a key's value where one is given."""
        keys = (number for number in range(self.head, len(self.lines)) if self.lines[number].startswith(f"{key} ="))
        first = next(keys, self.head - 1) + 1 if key else self.head
        for number in range(first, len(self.lines) + 1):
            if value is not None and str(value) in self.lines[number - 1]:
                return f"{self.name}, line {number}"
            if number > first and self.lines[number - 1].startswith("[["):
                break
        return f"{self.name}, line {self.head}"


def _entries(location: _Location, group: Mapping[str, Any], source: str) -> Iterator[Entry]:
    shared: dict[str, Any] = {
        "rule": group["rule"],
        "severity": group["severity"],
        "reason": group["reason"],
        "source": source,
        "category": group.get("category", ""),
        "excused_by": tuple(group.get("excused_by", ())),
        "needs_proof": group.get("needs_proof", False),
        **{key: frozenset(group.get(key, ())) for key in ("languages", "industries", "products", "allowed_for")},
    }
    instead: Mapping[str, str] = group.get("suggestions", {})
    for wordings in group.get("terms", ()):
        for term in [wordings] if isinstance(wordings, str) else wordings:
            shared["only_supports"] = term.startswith("~")
            term = term.removeprefix("~")
            concept = wordings if isinstance(wordings, str) else wordings[0]
            yield Entry(term=term, concept=concept, suggestion=instead.get(term), **shared)
    shared["only_supports"] = False
    for phrase in group.get("verbs", ()):
        for form in _forms(phrase):
            yield Entry(term=form, concept=phrase, suggestion=instead.get(phrase), **shared)
    for family in group.get("families", ()):
        if not _FAMILY.fullmatch(family):
            raise PackError(
                f"{location.at(family)}: family {family!r} is not two classes: write 'en.cure > en.disease'"
            )
        yield Entry(term=family, concept=family, kind="family", suggestion=instead.get(family), **shared)
    for pattern in group.get("patterns", ()):
        _check_pattern(location, pattern, group.get("hit", ()))
        yield Entry(
            term=pattern,
            concept=group.get("concept", pattern),
            kind="pattern",
            hints=tuple(group.get("hints", ())),
            suggestion=instead.get(pattern),
            **shared,
        )


def _forms(phrase: str) -> list[str]:
    return inflect.english(phrase) if phrase.isascii() else inflect.japanese(phrase)


def _classes(location: _Location, table: Mapping[str, Any]) -> dict[str, list[str]]:
    classes = {}
    for name, members in table.items():
        if not _CLASS.fullmatch(name):
            raise PackError(f"{location.at(name)}: class {name!r} has no language: name it en.NAME, zh.NAME or ja.NAME")
        classes[name] = [*members.get("words", ())] + [
            form for verb in members.get("verbs", ()) for form in _forms(verb)
        ]
    return classes


def _validate(location: _Location, group: Mapping[str, Any], source: str, rules: Iterable[str]) -> None:
    def refuse(key: str, value: object, allowed: Iterable[str]) -> None:
        raise PackError(f"{location.at(value)}: {key} {value!r} is unknown; use one of {', '.join(sorted(allowed))}")

    for key in group.keys() - _GROUP_KEYS:
        refuse("key", key, _GROUP_KEYS)
    for key in ("rule", "severity", "category", "reason"):
        if not group.get(key):
            raise PackError(
                f"{location.at()}: {key} is missing; every group names its rule, severity, category and reason"
            )
    if not source:
        raise PackError(f"{location.at()}: source is missing; name the law or policy, for the group or for the file")
    if group["rule"] not in rules:
        refuse("rule", group["rule"], rules)
    if group["category"] not in lines("categories.txt"):
        refuse("category", group["category"], lines("categories.txt"))
    if group["severity"] not in get_args(Severity):
        refuse("severity", group["severity"], get_args(Severity))
    for key, allowed in (
        ("languages", _LANGUAGES),
        ("industries", get_args(Industry)),
        ("products", get_args(ProductClass)),
        ("allowed_for", get_args(ProductClass)),
    ):
        for value in group.get(key, ()):
            if value not in allowed:
                refuse(key, value, allowed)
    if any(not term for term in group.get("terms", ())):
        raise PackError(f"{location.at()}: a term is empty; it would match everywhere")
    for key, meaning in (("hit", "an example that the group finds"), ("miss", "an example that it does not find")):
        if not group.get(key):
            raise PackError(f"{location.at()}: {key} is missing; give {meaning}")
    for term in group.get("suggestions", {}):
        if not any(term in _wordings(group, key) for key in ("terms", "verbs", "families", "patterns")):
            raise PackError(f"{location.at(term)}: suggestions name {term!r}, which is no entry of the group")


def _wordings(group: Mapping[str, Any], key: str) -> set[str]:
    return {term for wordings in group.get(key, ()) for term in ([wordings] if isinstance(wordings, str) else wordings)}


_LONG_ENOUGH = 2_000  # characters
_TOO_LONG = 0.05  # seconds: a linear pattern takes a hundredth of it


def _check_pattern(location: _Location, pattern: str, examples: Iterable[str]) -> None:
    """Refuse a pattern that does not compile, matches everywhere, or is slow on text that repeats what it matches."""
    try:
        expression = regex.compile(pattern)
    except regex.error as error:
        raise PackError(f"{location.at(pattern)}: pattern {pattern!r} does not compile: {error}") from error
    if expression.match(""):
        raise PackError(
            f"{location.at(pattern)}: pattern {pattern!r} matches the empty text; it would match everywhere"
        )
    letters = "".join(dict.fromkeys(char for char in pattern if char.isalnum()))
    for repeated in (*letters[:4], "a", " ", letters, *examples):
        text = (repeated * _LONG_ENOUGH)[:_LONG_ENOUGH]
        try:
            for ending in ("\n", "!"):
                expression.search(text + ending, timeout=_TOO_LONG)
        except TimeoutError as error:
            raise PackError(
                f"{location.at(pattern)}: pattern {pattern!r} takes more than {_TOO_LONG} s on {_LONG_ENOUGH:,} "
                f"characters of {repeated[:20]!r}: remove the repetition inside a repetition"
            ) from error
