"""Logged impressions become counted cells by the report's own definition of a click and a conversion, and a split keeps
groups apart.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abtest.attribution import attribute
from abtest.events import EventKind, TokenEvent
from tests.trainer.logs import A_TEXT, AN_EXPOSURE, COUNTED, SHOWN, WINDOW_HOURS, a_market, a_snapshot
from trainer.config import RewardConfig
from trainer.reward_model.dataset import (
    LeakageError,
    half,
    read_cells,
    refuse_shared_groups,
    require_enough,
    split,
)
from trainer.snapshot import SnapshotError, read_snapshot

HOUR = timedelta(hours=1)


def cells_of(folder: Path, rows, **more):
    a_snapshot(folder, rows, **more)
    return read_cells(read_snapshot(folder))


def test_equal_impressions_are_one_cell_and_invalid_ones_are_none(tmp_path: Path) -> None:
    clicked = {"click_at": SHOWN + HOUR}
    rows = [AN_EXPOSURE | {"id": f"s-{number}"} | change for number, change in enumerate(
        [{}, clicked, clicked | {"conversion_at": SHOWN + 2 * HOUR}, clicked | {"invalid": True}, {"position": 1}]
    )]  # fmt: skip
    cells = cells_of(tmp_path, rows)
    assert sorted(zip(cells.position, cells.impressions, cells.clicks, cells.conversions, strict=True)) == [
        (0, 3, 2, 1),
        (1, 1, 0, 0),
    ]
    assert {cells.strings[number] for number in (cells.query[0], cells.ad[0], cells.text[0])} == {
        "宽脚跑鞋",
        A_TEXT["ad"],
        A_TEXT["text"],
    }


offsets = st.none() | st.integers(-3, WINDOW_HOURS + 3)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=st.lists(st.tuples(offsets, offsets), min_size=1, max_size=8))
def test_labels_are_those_of_attribution(tmp_path_factory, times) -> None:
    rows, events = [], []
    for number, (click, conversion) in enumerate(times):
        at = {
            name: None if hours is None else SHOWN + hours * HOUR
            for name, hours in (("click_at", click), ("conversion_at", conversion))
        }
        rows.append(AN_EXPOSURE | {"id": f"s-{number}"} | at)
        kinds = {
            EventKind.IMPRESSION: SHOWN,
            EventKind.CLICK: at["click_at"],
            EventKind.CONVERSION: at["conversion_at"],
        }
        events += [TokenEvent(f"s-{number}", kind, when) for kind, when in kinds.items() if when is not None]
    outcomes = attribute(events, WINDOW_HOURS * HOUR).values()
    cells = cells_of(tmp_path_factory.mktemp("log") / "one", rows)
    assert cells.clicks.sum() == sum(outcome.clicked for outcome in outcomes)
    assert cells.conversions.sum() == sum(outcome.converted for outcome in outcomes)


def test_sums_from_a_source_without_rows_are_cells_too(tmp_path: Path) -> None:
    with_conversions = cells_of(tmp_path / "one", [COUNTED, COUNTED | {"id": "c-2"}], counts=True)
    assert (with_conversions.impressions[0], with_conversions.clicks[0], with_conversions.conversions[0]) == (
        2000,
        60,
        4,
    )
    without = cells_of(tmp_path / "two", [COUNTED | {"conversions": None}], counts=True)
    assert without.conversions is None


def test_a_snapshot_of_bots_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="no valid impression"):
        cells_of(tmp_path, [AN_EXPOSURE | {"invalid": True}])


def test_a_split_parts_whole_groups_and_loses_no_impression() -> None:
    cells = a_market()
    parts = split(cells, RewardConfig())
    sides = parts.training, parts.tuning, parts.tested
    assert sum(side.impressions.sum() for side in sides) == cells.impressions.sum()
    assert not set.intersection(*({*side.group} for side in sides))
    for first, second in ((parts.training, parts.tuning), (parts.training, parts.tested), (parts.tuning, parts.tested)):
        refuse_shared_groups(first, second)


def test_the_two_reward_models_learn_from_different_advertisers() -> None:
    cells = a_market()
    policy, held_out = half(cells, "policy"), half(cells, "held_out_model")
    refuse_shared_groups(policy, held_out)
    assert len(policy) + len(held_out) == len(cells) == len(half(cells, "all"))


def test_the_same_story_on_both_sides_fails_loudly() -> None:
    cells = a_market(groups=3)
    rows = np.arange(len(cells))
    with pytest.raises(LeakageError, match="3 groups are on both sides of the split, such as 'advertiser 0'"):
        refuse_shared_groups(cells.where(rows % 2 == 0), cells.where(rows % 2 == 1))


def test_too_few_conversions_are_counted_by_part_before_anything_is_embedded() -> None:
    cells = a_market()
    parts = split(replace(cells, conversions=np.zeros(len(cells))), RewardConfig())
    with pytest.raises(SnapshotError, match=r"at least 10 conversions each.*training 0 from \d+ advertisers, valid"):
        require_enough(parts, RewardConfig())
    require_enough(split(cells, RewardConfig()), RewardConfig())
    with pytest.raises(SnapshotError, match=r"at least 100000 clicks each.*or lower minimum_successes"):
        require_enough(split(replace(cells, conversions=None), RewardConfig()), RewardConfig(minimum_successes=100_000))


def test_too_few_advertisers_to_split_say_so() -> None:
    with pytest.raises(SnapshotError, match="collect more advertisers"):
        split(a_market(groups=2), RewardConfig())
    with pytest.raises(SnapshotError, match="collect more advertisers"):
        half(a_market(groups=1), "held_out_model" if len(half(a_market(groups=2), "policy")) else "policy")
