"""`relate gsb` beside a real platform, with the commands that the documentation names."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import psycopg
from comparable import add_comparable
from service import policy
from shell import relate

from app.up.stack import Stack


def test_a_comparison_is_drawn_shown_and_exported(stack: Stack, tmp_path: Path) -> None:
    here = {"RELATE_URL": stack.url, "RELATE_DATA_DIR": str(stack.settings.data_dir)}
    with psycopg.connect(stack.settings.database_url, autocommit=True) as database:
        version, baseline = policy(database, "vllm"), policy(database, "nlg")
        refused = relate("gsb", "create", version, baseline, **here)
        assert refused.status == 1 and "no brief has approved texts of both" in refused.stderr
        add_comparable(database, 4)
        made = relate("gsb", "create", version, baseline, "--pairs", 3, "--planted", 0, **here)
        assert "comparison 1: 3 pairs; judge them at " in made.stdout, made.stderr
        assert version in relate("gsb", "list", **here).stdout
        assert "no reading counts yet" in relate("gsb", "show", 1, **here).stdout
        for name, good in (("甲", 3), ("乙", 2)):
            database.execute(
                "INSERT INTO comparison_verdicts (pair_id, key_id, annotator, verdict) SELECT id, %s, %s, "
                "CASE WHEN row_number() OVER (ORDER BY id) <= %s THEN 'first' ELSE 'same' END FROM comparison_pairs",
                (900 + good, name, good),
            )
    shown = relate("gsb", "show", 1, **here).stdout
    assert "3 of 3 pairs judged" in shown and "good 2 : same 1 : bad 0" in shown
    assert "GSB +0.667 (" in shown and "sign test p 0.5" in shown and "甲: 3 pairs, caught 0 of 0" in shown
    assert relate("gsb", "export", 1, tmp_path / "v.csv", **here).status == 0
    assert relate("gsb", "export", 1, tmp_path / "v.json", **here).status == 0
    rows = list(csv.DictReader((tmp_path / "v.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(json.loads((tmp_path / "v.json").read_text(encoding="utf-8"))) == 6
    assert {row["annotator"] for row in rows} == {"甲", "乙"}
    again = relate("gsb", "export", 1, tmp_path / "v.txt", **here)
    assert again.status == 1 and "ends in neither .csv nor .json" in again.stderr
