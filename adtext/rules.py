"""The rules in force: every rule's name and kind, and the packs of terms, versioned together.

A pack is a TOML file in `packs/`, one law or policy each (`adtext.packs` describes the form). Operations may soften a
rule by a switch. An advertiser's own rules (`adtext.advertiser`) apply to its texts alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from adtext.advertiser import OwnChecks
from adtext.lexicon import Lexicon
from adtext.packs import Pack, PackError, compiled, read_pack

__all__ = ["RULES", "UNSWITCHABLE", "Kind", "PackError", "Rules", "Switch", "load_rules"]

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
        "unfinished": "format",
        "phone_number": "format",
        "placeholder": "format",
        "dynamic_text": "format",
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
        "ungrounded_place": "grounding",
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
        "disparagement": "risk",
        "endorsement": "risk",
        "personal_attribute": "risk",
        "vulgarity": "risk",
        "restricted_product": "risk",
        "missing_disclaimer": "risk",
        "clickbait": "risk",
        "solicitation": "risk",
        "discrimination": "risk",
        "prohibited_product": "risk",
        "profanity": "risk",
        # an advertiser's own rules: adtext.advertiser
        "excluded_term": "risk",
        "restriction": "risk",
        "required_phrase": "format",
    }
)

Switch = Literal["review", "off"]  # how operations may soften a rule: nothing of it blocks, or it is silent
# Switching these would serve what the platform refuses, what an advertiser forbade, or a piece of the prompt.
UNSWITCHABLE = frozenset(
    {"canary", "too_long", "missing_field", "extra_field", "excluded_term", "restriction", "required_phrase"}
)

# everything else in the package takes part in no finding
_NOT_DECIDING = frozenset({"__init__.py", "conflicts.py", "examples.py", "ngrams.py", "prompt.py", "templates.py"})


@dataclass(frozen=True, eq=False)
class Rules:
    """What `check` applies. Two with the same version give the same findings."""

    # short hash of the packs, the data and the code that reads them, of the switches, and after a + of the advertiser's
    # own rules: a text that passed another version must be checked again
    version: str
    lexicon: Lexicon
    packs: Sequence[Pack] = ()
    switches: Mapping[str, Switch] = field(default_factory=dict)  # by rule
    own: OwnChecks | None = None

    def switched(self, switches: Mapping[str, Switch]) -> Rules:
        """The packs' rules under these switches. Of rules that are not switched yet."""
        if not switches:
            return self
        told = "\n".join(f"{rule} {switch}" for rule, switch in sorted(switches.items()))
        return replace(self, version=version_of([self.version.encode(), told.encode()]), switches=dict(switches))

    def of_advertiser(self, own: OwnChecks | None) -> Rules:
        """These rules with an advertiser's own beside them."""
        return self if own is None else replace(self, version=f"{self.version}+{own.version}", own=own)


def load_rules(packs: Path | None = None) -> Rules:
    """The packaged packs and, when given, every *.toml in `packs`. Raises PackError."""
    package = resources.files("adtext")
    files = _files(package.joinpath("packs"), ".toml")
    if packs is not None:
        if not packs.is_dir():
            raise PackError(f"{packs} is not a folder: name the folder that holds the *.toml packs")
        files += _files(packs, ".toml")
    contents = tuple((file.name, file.read_bytes()) for file in files)
    read, lexicon = _compiled(contents)
    deciding = [content for _, content in contents] + [file.read_bytes() for file in deciding_files(package)]
    return Rules(version=version_of(deciding), lexicon=lexicon, packs=read)


@lru_cache(maxsize=1)  # compiling takes most of a second; a process that loads the same packs again shares the lexicon
def _compiled(contents: tuple[tuple[str, bytes], ...]) -> tuple[tuple[Pack, ...], Lexicon]:
    read = tuple(read_pack(name, content, RULES) for name, content in contents)
    return read, compiled(read)


def version_of(contents: Sequence[bytes]) -> str:
    """A short hash of the files that decide a finding."""
    return sha256(b"\0".join(contents)).hexdigest()[:12]


def deciding_files(package: Traversable) -> list[Traversable]:
    """The package's code and data that decide a finding. Specs are not among them: each has a version of its own."""
    code = [file for file in _files(package, ".py") if file.name not in _NOT_DECIDING]
    return [*code, *_files(package, ".toml"), *_files(package.joinpath("data"), "")]


def _files(folder: Traversable, ending: str) -> list[Traversable]:
    found = (file for file in folder.iterdir() if file.name.endswith(ending) and file.is_file())
    return sorted(found, key=lambda file: file.name)
