"""From a snapshot to what is trained on: cells of impressions with equal features, their labels, and splits that keep
a group together.

Impressions with the same query, ad, text and position have the same prediction, so their likelihood is binomial in the
cell's counts: nothing is lost by counting them first, and sums from a source without rows train the same way.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from abtest.attribution import attribute
from abtest.events import EventKind, TokenEvent
from trainer.config import RewardConfig
from trainer.snapshot import Snapshot, SnapshotError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class LeakageError(ValueError):
    """Training and evaluation would share a group that must be on one side only."""


@dataclass(frozen=True)
class Cells:
    """N cells. query, ad, text index `strings`, so that each is embedded once; group indexes `groups`."""

    strings: tuple[str, ...]
    groups: tuple[str, ...]
    query: IntArray
    ad: IntArray
    text: IntArray
    group: IntArray  # advertiser or story: a split keeps it together
    position: IntArray  # 0 is the first text of an answer
    impressions: FloatArray
    clicks: FloatArray
    conversions: FloatArray | None  # None: the source has none, and only CTR is learned

    def __len__(self) -> int:
        return len(self.query)

    @property
    def brief(self) -> IntArray:
        """[N] number of the cell's (query, ad) pair: texts of one brief compete."""
        return np.asarray(np.unique(self.query * len(self.strings) + self.ad, return_inverse=True)[1], dtype=np.int64)

    def where(self, chosen: BoolArray | IntArray) -> Cells:
        """The chosen cells; strings and groups stay as they are."""
        conversions = None if self.conversions is None else self.conversions[chosen]
        query, ad, text, group, position = (
            column[chosen] for column in (self.query, self.ad, self.text, self.group, self.position)
        )
        counts = self.impressions[chosen], self.clicks[chosen], conversions
        return Cells(self.strings, self.groups, query, ad, text, group, position, *counts)


def read_cells(snapshot: Snapshot) -> Cells:
    """Count a snapshot's valid impressions by query, ad, text and position; clicks and conversions as
    `abtest.attribution` counts them.
    """
    if snapshot.exposures is None:
        assert snapshot.counts is not None
        rows = snapshot.counts
    else:
        rows = _labelled(snapshot.exposures)
    if not rows.num_rows:
        raise SnapshotError("the snapshot holds no valid impression to learn from: export again when some are mature")
    has_conversions = rows["conversions"].null_count == 0
    sums = rows.group_by(["text_id", "query", "position"], use_threads=False).aggregate(
        [("impressions", "sum"), ("clicks", "sum"), ("conversions", "sum")]
    )
    texts = snapshot.texts.take(pc.index_in(sums["text_id"], snapshot.texts["text_id"]))
    columns = [sums["query"], texts["ad"], texts["text"]]
    strings = pc.unique(pa.concat_arrays([column.combine_chunks() for column in columns])).sort()
    groups = pc.unique(texts["group"].combine_chunks()).sort()
    query, ad, text = (_numbers(pc.index_in(column, strings)) for column in columns)
    return Cells(
        strings=tuple(strings.to_pylist()),
        groups=tuple(groups.to_pylist()),
        query=query,
        ad=ad,
        text=text,
        group=_numbers(pc.index_in(texts["group"], groups)),
        position=_numbers(sums["position"]),
        impressions=sums["impressions_sum"].to_numpy(),
        clicks=sums["clicks_sum"].to_numpy(),
        conversions=sums["conversions_sum"].to_numpy() if has_conversions else None,
    )


def _labelled(exposures: pa.Table) -> pa.Table:
    """impressions, clicks, conversions of every valid row. Rows without a click or conversion are all zeros by
    definition.
    """
    valid = exposures.filter(pc.invert(exposures["invalid"]))
    eventful = pc.or_(pc.is_valid(valid["click_at"]), pc.is_valid(valid["conversion_at"]))
    numbers = np.flatnonzero(eventful.to_numpy())
    clicks, conversions = np.zeros(valid.num_rows), np.zeros(valid.num_rows)
    some = valid.take(pa.array(numbers)).select(["id", "window_hours", "impression_at", "click_at", "conversion_at"])
    for number, row in zip(numbers, some.to_pylist(), strict=True):
        times = {
            EventKind.IMPRESSION: row["impression_at"],
            EventKind.CLICK: row["click_at"],
            EventKind.CONVERSION: row["conversion_at"],
        }
        events = [TokenEvent(row["id"], kind, at) for kind, at in times.items() if at is not None]
        outcome = attribute(events, timedelta(hours=row["window_hours"]))[row["id"]]
        clicks[number], conversions[number] = outcome.clicked, outcome.converted
    labels = {
        "impressions": pa.array(np.ones(valid.num_rows)),
        "clicks": pa.array(clicks),
        "conversions": pa.array(conversions),
    }
    return pa.table({"text_id": valid["text_id"], "query": valid["query"], "position": valid["position"], **labels})


def _numbers(column: pa.Array | pa.ChunkedArray) -> IntArray:
    return np.asarray(column.to_numpy(), dtype=np.int64)


@dataclass(frozen=True)
class Split:
    """training; tuning, for early stopping and calibration; tested, which no choice reads."""

    training: Cells
    tuning: Cells
    tested: Cells


def share_of(group: str, salt: str) -> float:
    """A fixed number in [0, 1) for a group: the same split on every machine, whatever else is in the data."""
    return int.from_bytes(hashlib.sha256(f"{salt}:{group}".encode()).digest()[:8], "big") / 2**64


def split(cells: Cells, config: RewardConfig) -> Split:
    """Whole groups by a hash of their name: the first `tested` of the unit interval, `validation`, the rest."""
    share = np.array([share_of(group, f"split-{config.seed}") for group in cells.groups])[cells.group]
    tuned_until = config.tested + config.validation
    sides = share >= tuned_until, (config.tested <= share) & (share < tuned_until), share < config.tested
    if not all(side.any() for side in sides):
        raise SnapshotError(
            f"{len(np.unique(cells.group))} advertisers leave a part of the split empty (validation "
            f"{config.validation}, tested {config.tested}): collect more advertisers or change the shares"
        )
    return Split(*(cells.where(side) for side in sides))


def require_enough(parts: Split, config: RewardConfig) -> None:
    """SnapshotError when a part holds too few conversions to learn or to measure anything; it states every count."""
    named = {"training": parts.training, "validation": parts.tuning, "tested": parts.tested}
    has_conversions = parts.training.conversions is not None
    counts = {
        name: int((part.clicks if part.conversions is None else part.conversions).sum()) for name, part in named.items()
    }
    if min(counts.values()) >= config.minimum_successes:
        return
    groups = {name: len(np.unique(part.group)) for name, part in named.items()}
    held = ", ".join(f"{name} {counts[name]} from {groups[name]} advertisers" for name in named)
    raise SnapshotError(
        f"too little data to train a reward model: training, validation and tested need at least "
        f"{config.minimum_successes} {'conversions' if has_conversions else 'clicks'} each, of different advertisers; "
        f"this snapshot gives {held}. Export again when more conversions are mature, or lower minimum_successes"
    )


def half(cells: Cells, which: str) -> Cells:
    """all, or the advertisers of the policy's reward model, or those of the held-out reward model: no advertiser is in
    both.
    """
    if which == "all":
        return cells
    # "judge" is the salt of the hash: another salt would deal the advertisers differently
    others = np.array([share_of(group, "judge") < 0.5 for group in cells.groups])[cells.group]
    chosen = cells.where(others if which == "held_out_model" else ~others)
    if not len(chosen):
        raise SnapshotError(f"half {which!r} holds none of {len(cells.groups)} groups: collect more advertisers")
    return chosen


def refuse_shared_groups(training: Cells, held_out: Cells) -> None:
    """LeakageError when a group (an advertiser, a story) is on both sides."""
    learned, tested = ({cells.groups[number] for number in np.unique(cells.group)} for cells in (training, held_out))
    if shared := sorted(learned & tested):
        raise LeakageError(
            f"{len(shared)} groups are on both sides of the split, such as {shared[0]!r}: split by group, never by row"
        )
