"""A snapshot is what its manifest says, and nothing in it is impossible; else it is refused with row and reason."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import pytest

from tests.builders import a_brief, an_ad
from tests.trainer.logs import A_TEXT, AN_EXPOSURE, AS_OF, COUNTED, SHOWN, a_snapshot
from trainer.snapshot import SnapshotError, SnapshotWriter, describe_ad, describe_text, read_manifest, read_snapshot


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    manifest = a_snapshot(tmp_path / "one", [AN_EXPOSURE])
    found = read_snapshot(tmp_path / "one")
    assert found.manifest == manifest and manifest.rows == 1 and manifest.texts == 1
    assert found.exposures.to_pylist() == [AN_EXPOSURE]
    assert found.texts.to_pylist() == [A_TEXT]


def test_equal_content_has_an_equal_digest_and_other_content_another(tmp_path: Path) -> None:
    first, again = (a_snapshot(tmp_path / name, [AN_EXPOSURE]) for name in ("first", "again"))
    other = a_snapshot(tmp_path / "other", [AN_EXPOSURE | {"query": "跑鞋"}])
    assert first.digest == again.digest != other.digest


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([AN_EXPOSURE, AN_EXPOSURE], "row 1: duplicate id"),
        ([AN_EXPOSURE, AN_EXPOSURE | {"id": "s-2", "arm": "titles/1/nobody"}], "row 1: unknown arm"),
        ([AN_EXPOSURE | {"text_id": "t-ja"}], "row 0: unknown text_id"),
        ([AN_EXPOSURE | {"position": -1}], "row 0: negative position"),
        ([AN_EXPOSURE | {"window_hours": 0}], "row 0: attribution window"),
        # its late reports may still come
        ([AN_EXPOSURE | {"impression_at": AS_OF - timedelta(days=7)}], "row 0: immature"),
        (
            [AN_EXPOSURE | {"click_at": AS_OF + timedelta(seconds=1)}],
            "row 0: click_at is later than the snapshot's as_of",
        ),
        ([AN_EXPOSURE | {"impression_at": SHOWN - timedelta(days=2)}], "row 0: future feature"),
    ],
)
def test_an_impression_that_cannot_be_learned_from_is_refused_with_row_and_reason(tmp_path: Path, rows, reason) -> None:
    a_snapshot(tmp_path / "poisoned", rows)
    with pytest.raises(SnapshotError, match=reason):
        read_snapshot(tmp_path / "poisoned")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"impressions": math.nan}, "impressions is not a finite number"),
        ({"impressions": math.inf}, "impressions is not a finite number"),
        ({"clicks": -1.0}, "negative clicks"),
        ({"clicks": 1001.0}, "clicks above impressions"),
        ({"conversions": 31.0}, "conversions above clicks"),
        ({"conversions": None}, "conversions missing here and present elsewhere"),
        ({"id": "c-1"}, "duplicate id"),
    ],
)
def test_counts_that_cannot_be_true_are_refused_with_row_and_reason(tmp_path: Path, change, reason) -> None:
    a_snapshot(tmp_path / "poisoned", [COUNTED, COUNTED | {"id": "c-2"} | change], counts=True)
    with pytest.raises(SnapshotError, match=f"row 1: {reason}"):
        read_snapshot(tmp_path / "poisoned")


def test_two_texts_of_one_id_are_refused(tmp_path: Path) -> None:
    a_snapshot(tmp_path / "poisoned", [AN_EXPOSURE], texts=[A_TEXT, A_TEXT | {"text": "幅広の足に"}])
    with pytest.raises(SnapshotError, match=r"texts\.parquet, row 1: duplicate text_id"):
        read_snapshot(tmp_path / "poisoned")


def test_a_file_changed_after_the_export_is_refused(tmp_path: Path) -> None:
    a_snapshot(tmp_path / "one", [AN_EXPOSURE])
    with (tmp_path / "one" / "exposures.parquet").open("ab") as file:
        file.write(b"more")
    with pytest.raises(SnapshotError, match="is not the file its manifest describes"):
        read_snapshot(tmp_path / "one")


def test_an_export_that_was_killed_is_no_snapshot(tmp_path: Path) -> None:
    SnapshotWriter(tmp_path)
    with pytest.raises(SnapshotError, match=r"no readable manifest\.json"):
        read_manifest(tmp_path)


def test_a_snapshot_is_never_written_over(tmp_path: Path) -> None:
    a_snapshot(tmp_path, [AN_EXPOSURE])
    with pytest.raises(SnapshotError, match="holds a snapshot already"):
        SnapshotWriter(tmp_path)


@pytest.mark.parametrize("locale", ["zh-CN", "en-US", "ja-JP"])
def test_an_encoder_reads_every_field_of_a_text_and_what_the_ad_sells(locale: str) -> None:
    brief, text = a_brief(locale=locale), an_ad(locale=locale, description_2="ABC")
    assert describe_text(text) == f"{text.title}\n{text.description}\nABC"
    assert all(
        part in describe_ad(brief.ad) for part in (brief.ad.advertiser, brief.ad.business, *brief.ad.selling_points)
    )


def test_a_manifest_of_another_format_is_refused(tmp_path: Path) -> None:
    a_snapshot(tmp_path, [AN_EXPOSURE])
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(SnapshotError, match="has format 99"):
        read_manifest(tmp_path)
