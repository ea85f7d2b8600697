"""Snapshots, which the export job writes and reward models learn from: Parquet files with a manifest. A snapshot with
an impossible value is refused.

    texts.parquet       one row per text: its id, group (advertiser or story), wording and ad metadata as the encoder
        reads them
    exposures.parquet   one row an impression: the earliest time of each event, as the fold of events left it; or,
        instead of it,
    counts.parquet      one row per text and place: impressions, clicks and conversions, for sources that report sums
    manifest.json       window, as-of time, arms, row counts, SHA-256 of every file

Light: the service writes snapshots, `trainer` reads them. Times are exported instead of labels:
`abtest.attribution` makes the labels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from abtest.attribution import LATENESS
from adtext.brief import Ad, AdText
from trainer.durable import sha256, write_text

FORMAT = 1
_TIME = pa.timestamp("us", tz="UTC")

TEXTS = pa.schema(
    [
        pa.field("text_id", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),  # the advertiser or the story: a split keeps a group together
        pa.field("ad", pa.string(), nullable=False),  # describe_ad
        pa.field("text", pa.string(), nullable=False),  # describe_text
        pa.field("industry", pa.string(), nullable=False),
        pa.field("locale", pa.string(), nullable=False),
        pa.field("created_at", _TIME, nullable=False),
    ]
)
_PLACE = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("text_id", pa.string(), nullable=False),
    pa.field("arm", pa.string(), nullable=False),  # experiment/phase/arm; "" outside experiments
    pa.field("query", pa.string(), nullable=False),
    pa.field("position", pa.int16(), nullable=False),  # 0 is the first text of an answer
]
EXPOSURES = pa.schema(
    [
        *_PLACE,
        pa.field("window_hours", pa.int32(), nullable=False),
        pa.field("impression_at", _TIME, nullable=False),
        pa.field("click_at", _TIME),
        pa.field("conversion_at", _TIME),
        pa.field("invalid", pa.bool_(), nullable=False),
    ]
)
COUNTS = pa.schema(
    [
        *_PLACE,
        pa.field("impressions", pa.float64(), nullable=False),
        pa.field("clicks", pa.float64(), nullable=False),
        pa.field("conversions", pa.float64()),  # null throughout where the source has none
    ]
)


class SnapshotError(ValueError):
    """A snapshot that cannot be used. The message names the file, the row and the reason."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of a snapshot. `digest` identifies it: the same data give the same reward model."""

    as_of: datetime  # every row is mature at this time, and no event is later
    since: datetime | None = None  # earliest impression
    until: datetime | None = None
    arms: tuple[str, ...] = ()
    rows: int = 0
    texts: int = 0
    left_out: dict[str, int] = field(default_factory=dict)  # rows not exported, by reason
    sha256: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.sha256, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Snapshot:
    """A checked snapshot. Exactly one of exposures and counts is there."""

    manifest: Manifest
    texts: pa.Table
    exposures: pa.Table | None
    counts: pa.Table | None


def describe_ad(ad: Ad) -> str:
    """Ad metadata as an encoder reads it: advertiser, offer and selling points."""
    return ". ".join(part for part in (ad.advertiser, ad.business, *ad.selling_points) if part)


def describe_text(text: AdText) -> str:
    """An ad text as an encoder reads it: one field a line."""
    return "\n".join(value for _, value in text.fields())


class SnapshotWriter:
    """Writes a snapshot batch by batch; the folder is a snapshot only once `close` wrote its manifest."""

    def __init__(self, folder: Path, *, counts: bool = False) -> None:
        if (folder / "manifest.json").exists():
            raise SnapshotError(f"{folder} holds a snapshot already: name a new folder, snapshots are never changed")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name, self.schema = folder, *(("counts", COUNTS) if counts else ("exposures", EXPOSURES))
        self._rows = pq.ParquetWriter(folder / f"{self.name}.parquet", self.schema)
        self._texts = pq.ParquetWriter(folder / "texts.parquet", TEXTS)
        self._counted: dict[str, Any] = {"rows": 0, "texts": 0}

    def add_rows(self, rows: pa.Table | pa.RecordBatch) -> None:
        self._rows.write(_as_table(rows, self.schema))
        self._counted["rows"] += rows.num_rows

    def add_texts(self, texts: pa.Table | pa.RecordBatch) -> None:
        self._texts.write(_as_table(texts, TEXTS))
        self._counted["texts"] += texts.num_rows

    def close(self, *, as_of: datetime, arms: Iterable[str], **about: Any) -> Manifest:
        """Write the manifest. about: since, until, left_out."""
        self._rows.close()
        self._texts.close()
        names = (f"{self.name}.parquet", "texts.parquet")
        sums = {name: sha256(self.folder / name) for name in names}
        manifest = Manifest(as_of=as_of, arms=tuple(arms), sha256=sums, **self._counted, **about)
        write_text(self.folder / "manifest.json", json.dumps(asdict(manifest), default=datetime.isoformat, indent=1))
        return manifest


def read_manifest(folder: Path) -> Manifest:
    try:
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SnapshotError(
            f"{folder} holds no readable manifest.json ({error}): write a snapshot with `relate export`"
        ) from error
    if content.get("format") != FORMAT:
        raise SnapshotError(
            f"{folder}/manifest.json has format {content.get('format')!r}, this release reads {FORMAT}: export again"
        )
    for name in ("as_of", "since", "until"):
        content[name] = datetime.fromisoformat(content[name]) if content[name] else None
    return Manifest(**content | {"arms": tuple(content["arms"])})


def read_snapshot(folder: Path) -> Snapshot:
    """Read and check a snapshot. SnapshotError when a file does not match the manifest, or a row is impossible."""
    manifest = read_manifest(folder)
    for name, expected in manifest.sha256.items():
        if not (folder / name).is_file() or sha256(folder / name) != expected:
            raise SnapshotError(f"{folder}/{name} is not the file its manifest describes (SHA-256): export again")
    texts = _read(folder / "texts.parquet", TEXTS)
    _refuse("texts.parquet", texts, _duplicated(texts, "text_id"), "duplicate text_id")
    by_rows = "exposures.parquet" in manifest.sha256
    name, schema = ("exposures.parquet", EXPOSURES) if by_rows else ("counts.parquet", COUNTS)
    rows = _read(folder / name, schema)
    _check_place(name, rows, texts, manifest)
    (_check_exposures if by_rows else _check_counts)(name, rows, texts, manifest)
    return Snapshot(manifest, texts, rows if by_rows else None, None if by_rows else rows)


def _check_place(name: str, rows: pa.Table, texts: pa.Table, manifest: Manifest) -> None:
    _refuse(name, rows, _duplicated(rows, "id"), "duplicate id")
    _refuse(
        name,
        rows,
        pc.invert(pc.is_in(rows["arm"], pa.array([*manifest.arms, ""]))),
        "unknown arm: the manifest does not name it",
    )
    _refuse(
        name,
        rows,
        pc.invert(pc.is_in(rows["text_id"], texts["text_id"])),
        "unknown text_id: texts.parquet does not hold it",
    )
    _refuse(name, rows, pc.less(rows["position"], 0), "negative position")


def _check_exposures(name: str, rows: pa.Table, texts: pa.Table, manifest: Manifest) -> None:
    """Nothing from the future: no immature impression, no event after as_of, no text written after it was shown."""
    as_of = pa.scalar(manifest.as_of, _TIME)
    hours = pc.multiply(pc.cast(rows["window_hours"], pa.int64()), 3_600_000_000).cast(pa.duration("us"))
    settled = pc.add(pc.add(rows["impression_at"], hours), pa.scalar(LATENESS, pa.duration("us")))
    _refuse(name, rows, pc.less_equal(rows["window_hours"], 0), "attribution window of no hours")
    _refuse(
        name, rows, pc.greater(settled, as_of), f"immature at {manifest.as_of}: impression + window + lateness is later"
    )
    for event in ("click_at", "conversion_at"):
        _refuse(name, rows, pc.greater(rows[event], as_of), f"{event} is later than the snapshot's as_of")
    written = texts["created_at"].take(pc.index_in(rows["text_id"], texts["text_id"]))
    _refuse(
        name,
        rows,
        pc.greater(written, rows["impression_at"]),
        "future feature: its text was written after it was shown",
    )


def _check_counts(name: str, rows: pa.Table, texts: pa.Table, manifest: Manifest) -> None:
    for column in ("impressions", "clicks", "conversions"):
        _refuse(name, rows, pc.invert(pc.is_finite(rows[column])), f"{column} is not a finite number")
        _refuse(name, rows, pc.less(rows[column], 0), f"negative {column}")
    _refuse(name, rows, pc.greater(rows["clicks"], rows["impressions"]), "clicks above impressions")
    _refuse(name, rows, pc.greater(rows["conversions"], rows["clicks"]), "conversions above clicks")
    if 0 < rows["conversions"].null_count < rows.num_rows:
        _refuse(name, rows, pc.is_null(rows["conversions"]), "conversions missing here and present elsewhere")


def _refuse(name: str, table: pa.Table, wrong: Any, reason: str) -> None:
    """SnapshotError naming the first row where `wrong` is true."""
    if (found := pc.index(pc.fill_null(wrong, False), True).as_py()) >= 0:
        count = pc.sum(pc.fill_null(wrong, False)).as_py()
        held = (
            table.slice(found, 1)
            .drop_columns([name for name in ("ad", "text") if name in table.column_names])
            .to_pylist()[0]
        )
        row = {key: str(value) for key, value in held.items() if value is not None}
        raise SnapshotError(f"{name}, row {found}: {reason} ({count} such rows; this one: {row})")


def _duplicated(table: pa.Table, column: str) -> Any:
    encoded = pc.dictionary_encode(table[column].combine_chunks())
    indices = encoded.indices.to_numpy()
    first = np.full(len(encoded.dictionary), -1)
    first[indices[::-1]] = np.arange(len(indices))[::-1]
    return pa.array(first[indices] != np.arange(len(indices)))


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    table = pq.read_table(path)
    if missing := [column.name for column in schema if column.name not in table.column_names]:
        raise SnapshotError(f"{path.name} has no column {', '.join(missing)}: export again")
    try:
        table = table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, ValueError) as error:
        raise SnapshotError(f"{path.name} does not hold the types of a snapshot: {error}") from error
    for column in schema:
        if not column.nullable:
            _refuse(path.name, table, pc.is_null(table[column.name]), f"{column.name} is missing")
    return table


def _as_table(rows: pa.Table | pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    return table.select(schema.names).cast(schema)
