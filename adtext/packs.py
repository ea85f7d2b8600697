"""Packs: TOML files of entries, one law or policy each, read and validated. An advertiser's own lists have the same form.

source = "Advertising Law of the PRC (2021), art. 9 (3)"      # a group may name its own
[class]
"en.cure" = { verbs = ["cure", "heal"] }     # a class of words: its language, a dot, its name; `words` or `verbs`
[[group]]
rule = "absolute_claim"                # a name in RULES
severity = "block"                     # block, review or warn
reason = "..."                         # what a reviewer reads
languages = ["zh"]                     # in which the words are written; absent: every language
industries = ["finance"]               # absent: every industry;  products and allowed_for name product classes
category = "superlative"
terms = ["最佳", ["free trial", "免费试用"]]     # an inner list is one concept: any of its wordings in the brief grounds
    the others
verbs = ["regrow hair", "シミが消える"]          # terms in every form of their verb: the first word in English, the last in
    Japanese
families = ["en.cure > en.disease"]     # two classes in one clause; "… 40" sets how many characters may stand between
patterns = ['最.{1,3}的']               # regular expressions over the folded text
hints = ["最"]                          # patterns are only tried where one of these stands
excused_by = ["最近"]                   # wordings in which a term is no claim
hit = ["全国最佳火锅"]                   # the group finds these examples …
miss = ["最近的火锅店"]                  # … and not these
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import regex

from adtext import inflect
from adtext.brief import Industry, ProductClass
from adtext.fold import views
from adtext.lexicon import Entry, Lexicon, Severity
from adtext.words import KANA


class PackError(ValueError):
    """A pack that cannot be read: names the file, the line, the value and the rule it breaks."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One file: its entries, its word classes, and the examples that prove them."""

    name: str
    entries: Sequence[Entry]
    classes: Mapping[str, Sequence[str]]
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True)
class Example:
    """A wording that a group must find, or must not."""

    where: str
    text: str
    found: bool
    entries: tuple[int, int]  # of the group, numbered within the pack
    language: str


_LISTS = {
    "languages", "industries", "products", "allowed_for", "terms", "verbs", "families", "patterns", "hints",
    "excused_by", "hit", "miss",
}  # fmt: skip
_GROUP_KEYS = {"rule", "severity", "reason", "source", "category", *_LISTS}
_LANGUAGES = ("en", "zh", "ja")
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
        place = _Place(name, lines, head)
        source = group.get("source", table.get("source", ""))
        _validate(place, group, source, rules)
        first = len(entries)
        entries += _entries(place, group, source)
        language = (group.get("languages") or [""])[0]
        examples += (
            Example(place.at(text), text, key == "hit", (first, len(entries)), language or _language(text))
            for key in ("hit", "miss")
            for text in group.get(key, ())
        )
    return Pack(name, entries, _classes(_Place(name, lines, 1), table.get("class", {})), examples)


def compiled(packs: Sequence[Pack]) -> Lexicon:
    """The lexicon of all packs, each proved against its own examples. Raises PackError."""
    classes = {name: words for pack in packs for name, words in pack.classes.items()}
    for pack in packs:
        for entry in pack.entries:
            for member in re.split(" > | [0-9]+$", entry.term) if entry.kind == "family" else ():
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
class _Place:
    """A group's place in its file, for messages."""

    name: str
    lines: Sequence[str]
    head: int  # the line of its [[group]]

    def at(self, value: object = None) -> str:
        """The file and the line of a value of the group."""
        for number in range(self.head, len(self.lines) + 1):
            if value is not None and str(value) in self.lines[number - 1]:
                return f"{self.name}, line {number}"
            if number > self.head and self.lines[number - 1].startswith("[["):
                break
        return f"{self.name}, line {self.head}"


def _entries(place: _Place, group: Mapping[str, Any], source: str) -> Iterator[Entry]:
    shared: dict[str, Any] = {
        "rule": group["rule"],
        "severity": group["severity"],
        "reason": group["reason"],
        "source": source,
        "category": group.get("category", ""),
        "excused_by": tuple(group.get("excused_by", ())),
        **{key: frozenset(group.get(key, ())) for key in ("languages", "industries", "products", "allowed_for")},
    }
    for wordings in group.get("terms", ()):
        for term in [wordings] if isinstance(wordings, str) else wordings:
            shared["only_supports"] = term.startswith("~")
            term = term.removeprefix("~")
            yield Entry(term=term, concept=wordings if isinstance(wordings, str) else wordings[0], **shared)
    shared["only_supports"] = False
    for phrase in group.get("verbs", ()):
        for form in _forms(phrase):
            yield Entry(term=form, concept=phrase, **shared)
    for family in group.get("families", ()):
        if " > " not in family:
            raise PackError(f"{place.at(family)}: family {family!r} is not two classes: write 'en.cure > en.disease'")
        yield Entry(term=family, concept=family, kind="family", **shared)
    for pattern in group.get("patterns", ()):
        _check_pattern(place, pattern)
        yield Entry(term=pattern, concept=pattern, kind="pattern", hints=tuple(group.get("hints", ())), **shared)


def _forms(phrase: str) -> list[str]:
    return inflect.english(phrase) if phrase.isascii() else inflect.japanese(phrase)


def _classes(place: _Place, table: Mapping[str, Any]) -> dict[str, list[str]]:
    classes = {}
    for name, members in table.items():
        if not _CLASS.fullmatch(name):
            raise PackError(f"{place.at(name)}: class {name!r} has no language: name it en.NAME, zh.NAME or ja.NAME")
        classes[name] = [*members.get("words", ())] + [
            form for verb in members.get("verbs", ()) for form in _forms(verb)
        ]
    return classes


def _language(text: str) -> str:
    return "ja" if KANA.search(text) else "en" if text.isascii() else "zh"


def _validate(place: _Place, group: Mapping[str, Any], source: str, rules: Iterable[str]) -> None:
    def refuse(key: str, value: object, allowed: Iterable[str]) -> None:
        raise PackError(f"{place.at(value)}: {key} {value!r} is unknown; use one of {', '.join(sorted(allowed))}")

    for key in group.keys() - _GROUP_KEYS:
        refuse("key", key, _GROUP_KEYS)
    for key in ("rule", "severity", "reason"):
        if not group.get(key):
            raise PackError(f"{place.at()}: {key} is missing; every group names its rule, severity and reason")
    if not source:
        raise PackError(f"{place.at()}: source is missing; name the law or policy, for the group or for the file")
    if group["rule"] not in rules:
        refuse("rule", group["rule"], rules)
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
        raise PackError(f"{place.at()}: a term is empty; it would stand everywhere")


_LONG_ENOUGH = 2_000  # characters
_TOO_LONG = 0.05  # seconds: a linear pattern takes a hundredth of it


def _check_pattern(place: _Place, pattern: str) -> None:
    try:
        expression = regex.compile(pattern)
    except regex.error as error:
        raise PackError(f"{place.at(pattern)}: pattern {pattern!r} does not compile: {error}") from error
    if expression.match(""):
        raise PackError(f"{place.at(pattern)}: pattern {pattern!r} matches the empty text; it would stand everywhere")
    letters = dict.fromkeys(char for char in pattern if char.isalnum())
    for char in [*list(letters)[:4], "a"]:
        try:
            expression.search(char * _LONG_ENOUGH + "\n", timeout=_TOO_LONG)
        except TimeoutError as error:
            raise PackError(
                f"{place.at(pattern)}: pattern {pattern!r} takes more than {_TOO_LONG} s on {_LONG_ENOUGH:,} times "
                f"{char!r}: remove the repetition inside a repetition"
            ) from error
