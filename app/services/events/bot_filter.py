"""Whether a pixel was fetched by a person: HEAD, prefetches and known bots are stored, flagged, and left out of the
valid view.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_PREFETCH_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")  # Chrome, Safari, Firefox, new and old


def invalid_reason(method: str, headers: Mapping[str, str]) -> str | None:
    """`head`, `prefetch`, `bot`, or None for what may have been a person. Header names are matched in lower case."""
    if method == "HEAD":
        return "head"
    if any(
        word in headers.get(name, "").lower()
        for name in _PREFETCH_HEADERS
        for word in ("prefetch", "preview", "prerender")
    ):
        return "prefetch"
    agent = headers.get("user-agent", "")
    return "bot" if not agent or _bots().search(agent) else None


@cache
def _bots() -> re.Pattern[str]:
    words: list[str] = tomllib.loads(files("app.services.events").joinpath("bots.toml").read_text())["words"]
    return re.compile("|".join(map(re.escape, words)), re.IGNORECASE)
