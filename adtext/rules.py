"""The rules in force: every rule's name and kind, and the packs of terms, versioned together.

A pack is a TOML file in `packs/`, one law or policy each; an advertiser's own lists are a further folder of the same
form:

    source = "Advertising Law of the PRC (2021), art. 9 (3)"      # a group may name its own
    [[group]]
    rule = "absolute_claim"                # a name in RULES
    severity = "block"                     # block, review or warn
    reason = "..."                         # what a reviewer reads
    languages = ["zh"]                     # absent: every language;  industries likewise
    category = "superlative"
    terms = ["最佳", ["free trial", "免费试用"]]     # an inner list is one concept: any of its wordings in the brief grounds
        the others
    patterns = ['最.{1,3}的']               # regular expressions over the folded text
    excused_by = ["最近"]                   # wordings in which a term is no claim
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from adtext.brief import Industry
from adtext.lexicon import Entry, Lexicon, Severity

Kind = Literal["length", "format", "grounding", "risk"]

# Every rule that a finding may carry, and its kind. Each kind is one term of the reward, so a rule is charged once.
RULES: Mapping[str, Kind] = MappingProxyType(
    {
        # length
        "too_short": "length",
        "too_long": "length",
        "missing_field": "length",
        "extra_field": "length",
        # format
        "control_character": "format",
        "repeated_punctuation": "format",
        "too_many_exclamations": "format",
        "repeated_words": "format",
        "repeated_field": "format",
        "emoji": "format",
        "gimmicky_symbol": "format",
        "half_width_katakana": "format",
        "shouting": "format",
        "phone_number": "format",
        "placeholder": "format",
        "markup": "format",
        "label_left_over": "format",
        "wrong_language": "format",
        "wrong_script": "format",
        # grounding
        "ungrounded_number": "grounding",
        "ungrounded_percentage": "grounding",
        "ungrounded_price": "grounding",
        "ungrounded_contact": "grounding",
        "ungrounded_offer": "grounding",
        "ungrounded_brand": "grounding",
        "false_urgency": "grounding",  # false when the brief does not say so
        # risk
        "canary": "risk",
        "prompt_residue": "risk",
        "absolute_claim": "risk",
        "medical_claim": "risk",
        "health_claim": "risk",
        "financial_promise": "risk",
        "education_promise": "risk",
        "property_promise": "risk",
        "guaranteed_result": "risk",
        "state_endorsement": "risk",
        "misleading_claim": "risk",
        "clickbait": "risk",
        "solicitation": "risk",
        "discrimination": "risk",
        "prohibited_product": "risk",
        "profanity": "risk",
    }
)

_GROUP_KEYS = {
    "rule",
    "severity",
    "reason",
    "source",
    "languages",
    "industries",
    "category",
    "terms",
    "patterns",
    "excused_by",
}
_LANGUAGES = {"en", "zh", "ja"}
_CODE = (
    "acronyms.toml",
    "amounts.py",
    "checks.py",
    "editorial.py",
    "fold.py",
    "grounding.py",
    "lexicon.py",
    "rules.py",
    "spec.py",
)


class PackError(ValueError):
    """A pack that cannot be read: names the file, the group, the value and the rule it breaks."""


@dataclass(frozen=True, eq=False)
class Rules:
    """What `check` applies. Two with the same version give the same findings."""

    # short hash of the packs and of the code that reads them: a text that passed another version must be checked again
    version: str
    lexicon: Lexicon


def load_rules(packs: Path | None = None) -> Rules:
    """The packaged packs and, when given, every *.toml in `packs`. Raises PackError."""
    files = _toml_files(resources.files("adtext").joinpath("packs"))
    if packs is not None:
        if not packs.is_dir():
            raise PackError(f"{packs} is not a folder: name the folder that holds the *.toml packs")
        files += _toml_files(packs)
    contents = [(file.name, file.read_bytes()) for file in files]
    entries = [entry for name, content in contents for entry in _entries(name, content)]
    code = [resources.files("adtext").joinpath(name).read_bytes() for name in _CODE]
    digest = sha256(b"\0".join([*code, *(content for _, content in contents)])).hexdigest()[:12]
    return Rules(version=digest, lexicon=Lexicon(entries))


def _toml_files(folder: Traversable) -> list[Traversable]:
    return sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)


def _entries(name: str, content: bytes) -> Iterator[Entry]:
    try:
        pack = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackError(f"{name}: {error}; a pack is a TOML file in UTF-8") from error
    for number, group in enumerate(pack.get("group", []), start=1):
        where = f"{name}, group {number}"
        source = group.get("source", pack.get("source", ""))
        _validate(where, group, source)
        shared = {
            "rule": group["rule"],
            "severity": group["severity"],
            "reason": group["reason"],
            "source": source,
            "category": group.get("category", ""),
            "languages": frozenset(group.get("languages", ())),
            "industries": frozenset(group.get("industries", ())),
            "excused_by": tuple(group.get("excused_by", ())),
        }
        for wordings in group.get("terms", ()):
            for term in [wordings] if isinstance(wordings, str) else wordings:
                yield Entry(term=term, concept=wordings if isinstance(wordings, str) else wordings[0], **shared)
        for pattern in group.get("patterns", ()):
            yield Entry(term=_compiled(where, pattern), concept=pattern, pattern=True, **shared)


def _validate(where: str, group: Mapping[str, Any], source: str) -> None:
    def refuse(key: str, value: object, allowed: Iterable[str]) -> None:
        raise PackError(f"{where}: {key} {value!r} is unknown; use one of {', '.join(sorted(allowed))}")

    for key in group.keys() - _GROUP_KEYS:
        refuse("key", key, _GROUP_KEYS)
    for key in ("rule", "severity", "reason"):
        if not group.get(key):
            raise PackError(f"{where}: {key} is missing; every group names its rule, severity and reason")
    if not source:
        raise PackError(f"{where}: source is missing; name the law or policy, for the group or for the file")
    if group["rule"] not in RULES:
        refuse("rule", group["rule"], RULES)
    if group["severity"] not in get_args(Severity):
        refuse("severity", group["severity"], get_args(Severity))
    for language in group.get("languages", ()):
        if language not in _LANGUAGES:
            refuse("language", language, _LANGUAGES)
    for industry in group.get("industries", ()):
        if industry not in get_args(Industry):
            refuse("industry", industry, get_args(Industry))
    if any(not term for term in group.get("terms", ())):
        raise PackError(f"{where}: a term is empty; it would stand everywhere")


def _compiled(where: str, pattern: str) -> str:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise PackError(f"{where}: pattern {pattern!r} does not compile: {error}") from error
    if compiled.match(""):
        raise PackError(f"{where}: pattern {pattern!r} matches the empty text; it would stand everywhere")
    return pattern
