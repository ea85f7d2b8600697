"""Small logs of ads: a snapshot to change a row of, and a market simple enough to know the answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trainer.reward_model.dataset import Cells
from trainer.reward_model.embed import Vectors
from trainer.snapshot import COUNTS, EXPOSURES, TEXTS, Manifest, SnapshotWriter

AS_OF = datetime(2026, 11, 22, tzinfo=UTC)
SHOWN = AS_OF - timedelta(days=10)
WINDOW_HOURS = 168
ARM = "titles/1/control"

A_TEXT = {
    "text_id": "t-zh",
    "group": "青禾跑步",
    "ad": "青禾跑步. 线上跑鞋店",
    "text": "宽脚也能穿的跑鞋\n宽楦设计",
    "industry": "apparel",
    "locale": "zh-CN",
    "created_at": SHOWN - timedelta(days=1),
}
AN_EXPOSURE = {
    "id": "s-1",
    "text_id": "t-zh",
    "arm": ARM,
    "query": "宽脚跑鞋",
    "position": 0,
    "window_hours": WINDOW_HOURS,
    "impression_at": SHOWN,
    "click_at": None,
    "conversion_at": None,
    "invalid": False,
}
COUNTED = {
    "id": "c-1",
    "text_id": "t-zh",
    "arm": "",
    "query": "宽脚跑鞋",
    "position": 0,
    "impressions": 1000.0,
    "clicks": 30.0,
    "conversions": 2.0,
}


def a_snapshot(
    folder: Path, rows: Sequence[dict[str, Any]], *, texts: Sequence[dict[str, Any]] = (A_TEXT,), counts: bool = False
) -> Manifest:
    """Write rows as given: what cannot be true is for the reader to find."""
    writer = SnapshotWriter(folder, counts=counts)
    writer.add_texts(pa.Table.from_pylist(list(texts), schema=TEXTS))
    writer.add_rows(pa.Table.from_pylist(list(rows), schema=COUNTS if counts else EXPOSURES))
    return writer.close(as_of=AS_OF, arms=[ARM])


class LetterEncoder:
    """Unit vectors of letter counts: an encoder whose vectors a test can foresee, and that counts what it was asked."""

    name = "letters"
    dim = 8

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, strings: Sequence[str]) -> Vectors:
        self.asked += strings
        counts = np.array(
            [[sum(ord(letter) % 8 == bucket for letter in string) for bucket in range(8)] for string in strings]
        )
        counts = counts.reshape(len(strings), 8)
        return np.asarray(counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1), dtype=np.float32)


def a_market(*, groups: int = 40, texts: int = 6, impressions: int = 2000, seed: int = 0) -> Cells:
    """Texts whose letters decide: "b" wins clicks (CTR 4 to 24 %), "c" conversions of clicks (5 to 29 %). A brief is a
    group.
    """
    rng = np.random.default_rng(seed)
    strings: list[str] = []
    rows = []
    for group in range(groups):
        query, ad = len(strings), len(strings) + 1
        strings += [f"query {group}", f"shop {group}"]
        for _ in range(texts):
            b, c = rng.integers(0, 5, size=2)
            strings.append("a" * (8 - b - c) + "b" * b + "c" * c + f" {len(strings)}")
            clicks = rng.binomial(impressions, 0.04 + 0.05 * b)
            rows.append(
                (
                    query,
                    ad,
                    len(strings) - 1,
                    group,
                    rng.integers(0, 2),
                    impressions,
                    clicks,
                    rng.binomial(clicks, 0.05 + 0.06 * c),
                )
            )
    query, ad, text, group, position, shown, clicks, conversions = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    names = tuple(f"advertiser {number}" for number in range(groups))
    counts = (column.astype(np.float64) for column in (shown, clicks, conversions))
    return Cells(tuple(strings), names, query, ad, text, group, position, *counts)


def save_market(folder: Path, **shape: int) -> Path:
    """The simple market as a snapshot of a source that reports sums."""
    cells = a_market(**shape)
    assert cells.conversions is not None
    texts, rows = [], []
    for number in range(len(cells)):
        text_id = f"t-{number}"
        strings = {"ad": cells.strings[cells.ad[number]], "text": cells.strings[cells.text[number]]}
        texts.append(
            A_TEXT | strings | {"text_id": text_id, "group": cells.groups[cells.group[number]], "created_at": SHOWN}
        )
        counts = {name: float(getattr(cells, name)[number]) for name in ("impressions", "clicks", "conversions")}
        place = {"query": cells.strings[cells.query[number]], "position": int(cells.position[number])}
        rows.append(COUNTED | {"id": f"c-{number}", "text_id": text_id} | place | counts)
    a_snapshot(folder, rows, texts=texts, counts=True)
    return folder
