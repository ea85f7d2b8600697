"""`relate assets` beside a real platform: a file for Google Ads Editor, and what was found on the terminal."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from shell import BRIEF, ENGLISH, relate, saved

from app.core.ads_editor import COLUMNS
from app.up.stack import Stack

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture(scope="module")
def here(stack: Stack) -> dict[str, str]:
    """The environment of a shell beside a platform without a model."""
    return {"RELATE_URL": stack.url, "RELATE_DATA_DIR": str(stack.settings.data_dir)}


SHOP = ENGLISH | {
    "bidwords": ["wide shoes", "running shoes in 4E"],
    "ad": {
        "id": "shoes",
        "advertiser": "Fernhill",
        "business": "Running shoes in four widths",
        "selling_points": ["Returns within 45 days", "Gait check in the store", "Resoling service", "Sizes in 4E"],
    },
}


def test_a_file_for_google_ads_editor_is_written_with_a_row_per_ad(here: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "ads.csv"
    two = saved(tmp_path, "briefs.jsonl", SHOP, SHOP | {"ad": SHOP["ad"] | {"id": "shoes-2"}})
    place = ("--final-url", "https://fernhill.example/wide", "--campaign", "Shoes", "--path-1", "wide")
    done = relate("assets", two, "--out", out, *place, "--deadline-ms", 200, **here)
    assert done.status == 0, done.stderr
    assert "shoes: " in done.stderr and " of 15 headlines" in done.stderr and " of 4 descriptions" in done.stderr
    header, first, second = csv.reader(out.read_text(encoding="utf-8").splitlines())
    assert tuple(header) == COLUMNS and (first[:2], second[:2]) == (["Shoes", "shoes"], ["Shoes", "shoes-2"])
    again = relate("assets", two, "--out", out, *place, **here)
    assert again.status == 1 and "exists already: name a new file" in again.stderr


def test_json_is_printed_with_every_asset_and_its_source(here: dict[str, str], tmp_path: Path) -> None:
    done = relate("assets", saved(tmp_path, "brief.json", SHOP), "--deadline-ms", 200, **here)
    (answer,) = json.loads(done.stdout)
    assert answer["usable"] and answer["headlines"]["found"] >= 3
    assert {asset["source"] for asset in answer["descriptions"]["assets"]} == {"template"}


@pytest.mark.parametrize(
    ("brief", "options", "said"),
    [
        (SHOP, ("--out", "ads.csv"), "pass --final-url"),
        (SHOP, ("--out", "ads.txt"), "ends in neither .csv nor .json"),
        (SHOP, ("--final-url", "fernhill.example"), "is no web address"),
        (BRIEF, ("--platform", "baidu_search"), "baidu_search shows whole ads and combines no assets"),
        (BRIEF, ("--out", "ads.csv", "--final-url", "https://a.example"), "1 of 1 ads have too few assets"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(
    here: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    brief: object,
    options: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = relate("assets", saved(tmp_path, "brief.json", brief), *options, "--deadline-ms", 200, **here)
    assert done.status == 1 and said in done.stderr, done.stderr
    assert not (tmp_path / "ads.csv").exists()
