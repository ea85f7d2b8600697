"""How long each field of an ad text may be, per platform, in the platform's own counting. One data file per platform in
`specs/`.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib import resources
from types import MappingProxyType
from typing import Literal, get_args

Mode = Literal["width", "gbk_bytes", "codepoints"]
MODES: tuple[str, ...] = get_args(Mode)
SPECS: tuple[str, ...] = tuple(
    sorted(
        file.name.removesuffix(".toml")
        for file in resources.files("adtext").joinpath("specs").iterdir()
        if file.name.endswith(".toml")
    )
)

_ALL_WIDE = re.compile(r"[\u3041-\u3096\u30a1-\u30ff\u4e00-\u9fff，。！？、：；（）《》「」『』【】　]*")


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """The length of one field, counted in `mode`: min ≤ length ≤ max. A field that is not required may be absent."""

    min: int
    max: int
    mode: Mode
    required: bool = True
    max_exclamations: int = 1

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"counting mode {self.mode!r} is unknown: use one of {', '.join(MODES)}")
        if not 0 <= self.min <= self.max:
            raise ValueError(f"limits {self.min} to {self.max} are not an interval: give 0 <= min <= max")


@dataclass(frozen=True, slots=True)
class TextSpec:
    """What one platform accepts. `version` is a short hash of the data file, so that a text's provenance can say what
    it was held to.
    """

    name: str
    version: str
    source: str
    fields: Mapping[str, FieldSpec] = field(hash=False)  # in reading order; the version stands for them in the hash


@cache
def load_spec(name: str) -> TextSpec:
    """The spec of a platform; ValueError names the known ones."""
    if name not in SPECS:
        raise ValueError(f"platform {name!r} is unknown: use one of {', '.join(SPECS)}")
    content = resources.files("adtext").joinpath("specs", f"{name}.toml").read_bytes()
    table = tomllib.loads(content.decode())
    fields = {key: FieldSpec(**limits) for key, limits in table["fields"].items()}
    return TextSpec(
        name=name, version=sha256(content).hexdigest()[:8], source=table["source"], fields=MappingProxyType(fields)
    )


# Google's keyword insertion and countdowns: what the platform itself fills in
DYNAMIC = re.compile(r"\{(?i:keyword):(?P<default>[^{}]*)\}|\{=?(?i:countdown)\([^{}]*\)\}")
_LONGEST_COUNTDOWN = "10 days"  # the text that a countdown shows at its longest


def shown(text: str) -> str:
    """The text at its longest: a keyword insertion by its default, a countdown by its longest text."""
    if "{" not in text:
        return text
    return DYNAMIC.sub(lambda match: match["default"] if match["default"] is not None else _LONGEST_COUNTDOWN, text)


def measure(text: str, mode: Mode) -> int:
    """Length of the raw text in a platform's units.

    width       East Asian wide and full-width characters count 2, combining marks and all else 1       UAX #11; Google
        Ads "double-width"
    gbk_bytes   bytes in GBK; a character outside it counts 4, as in GB18030, so that every text has a length
    codepoints  Unicode code points
    """
    match mode:
        case "width":
            if text.isascii():
                return len(text)
            if _ALL_WIDE.fullmatch(text):
                return 2 * len(text)
            return len(text) + sum([unicodedata.east_asian_width(char) in "WF" for char in text if char > "\x7f"])
        case "gbk_bytes":
            return len(text) if text.isascii() else _gbk_bytes(text)
        case "codepoints":
            return len(text)


def _gbk_bytes(text: str) -> int:
    try:
        return len(text.encode("gbk"))
    except UnicodeEncodeError:
        return sum([_gbk_bytes(char) if len(text) > 1 else 4 for char in text])
