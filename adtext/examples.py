"""The example briefs: real input for tests, benchmarks and the command line. `examples/README.md` describes the
format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adtext.brief import AdBrief


class ExampleError(ValueError):
    """A line of an example file that does not follow the format."""


@dataclass(frozen=True, slots=True)
class Example:
    """One request body without its unit: a platform and the raw data of a brief, which may be invalid on purpose."""

    name: str
    platform: str  # the name of a TextSpec
    tags: frozenset[str]  # regulated, hostile, invalid
    brief_data: Mapping[str, Any]

    def brief(self) -> AdBrief:
        """The validated brief; pydantic's ValidationError where the data is invalid."""
        return AdBrief.model_validate(self.brief_data)


def load_examples(path: Path) -> list[Example]:
    """Read a JSON Lines file of examples, in file order; ExampleError names file, line and what is wrong."""
    with path.open(encoding="utf-8") as lines:
        return [_example(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def _example(line: str, place: str) -> Example:
    try:
        data = json.loads(line)
        brief = data["brief"]
        if "landing_page_repeat" in data:  # a 50 kB page, stored as one paragraph
            ad = brief["ad"]
            brief = {
                **brief,
                "ad": {**ad, "landing_page": "\n".join([ad["landing_page"]] * data["landing_page_repeat"])},
            }
        return Example(name=data["name"], platform=data["platform"], tags=frozenset(data["tags"]), brief_data=brief)
    except (ValueError, KeyError, TypeError) as error:
        raise ExampleError(
            f"{place}: {error!r}: each line is one JSON object with name, platform, tags and brief"
        ) from error
