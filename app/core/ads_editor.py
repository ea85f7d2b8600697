"""The CSV file of responsive search ads that Google Ads Editor imports: one row per ad.

Headers are English; Editor ignores their case and spaces, and leaves alone what an empty cell stands for ("CSV file
columns", support.google.com/google-ads/editor/answer/57747).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adtext.assets import ASSETS
from adtext.spec import measure
from app.core.problems import Problem

_, HEADLINES = ASSETS["google_rsa"].headline
_, DESCRIPTIONS = ASSETS["google_rsa"].description
COLUMNS = (
    "Campaign",
    "Ad Group",
    "Ad type",
    *(f"Headline {number}" for number in range(1, HEADLINES + 1)),
    *(f"Description {number}" for number in range(1, DESCRIPTIONS + 1)),
    "Path 1",
    "Path 2",
    "Final URL",
)


PATH = 15  # columns of one part of the display path: Chinese and Japanese characters take two
_ADDRESS = re.compile(r"https?://[^\s/?#]+(?:[/?#]\S*)?")


def check_place(final_url: str, path_1: str, path_2: str) -> None:
    """Raise Problem for what Google Ads would refuse: an address that is none, or a display path that does not fit."""
    if not _ADDRESS.fullmatch(final_url):
        raise Problem(
            422,
            "final_url",
            f"final_url {final_url!r} is no web address: send one that begins with https://",
            field="final_url",
            value=final_url,
        )
    for name, value in (("path_1", path_1), ("path_2", path_2)):
        if measure(value, "width") > PATH or not _PATH_PART.fullmatch(value):
            detail = f"{name} {value!r} does not fit: at most {PATH} columns, without slash and space"
            raise Problem(422, "path", detail, field=name, value=value)
    if path_2 and not path_1:
        raise Problem(422, "path", "path_2 needs a path_1: send it too", field="path_1", value=path_1)


_PATH_PART = re.compile(r"[^/\s]*")


@dataclass(frozen=True, slots=True)
class EditorRow:
    """One ad with its place in the account."""

    campaign: str
    ad_group: str
    final_url: str
    headlines: Sequence[str]
    descriptions: Sequence[str]
    path_1: str = ""
    path_2: str = ""

    def cells(self) -> list[str]:
        """The values in the order of COLUMNS."""
        return [
            self.campaign,
            self.ad_group,
            "Responsive search ad",
            *self.headlines,
            *[""] * (HEADLINES - len(self.headlines)),
            *self.descriptions,
            *[""] * (DESCRIPTIONS - len(self.descriptions)),
            self.path_1,
            self.path_2,
            self.final_url,
        ]


def editor_csv(rows: Iterable[EditorRow]) -> str:
    """The file, UTF-8 when it is written."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.cells() for row in rows)
    return file.getvalue()
