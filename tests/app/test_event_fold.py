"""The fold: what SQL makes of events is what `attribute` says, step by step or all at once, and the sums are the units'
own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from counting import DAY, HOUR, digest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from abtest.attribution import LATENESS, Outcome, attribute
from abtest.events import EventKind, TokenEvent
from abtest.sums import FunnelSums
from app.core.tokens import Served
from app.store.database import AsyncConnection
from app.store.events import NewEvent, store_events
from app.store.fold import FASTEST_CLICK, LOCK, fold, rebuild
from app.store.sums import cutoff_day_sums, cutoff_of, day_sums, funnel_sums

START = datetime(2026, 11, 1, 22, tzinfo=UTC)
WINDOW, ELSEWHERE = 24 * HOUR, 12 * HOUR


@dataclass(frozen=True)
class Token:
    """A serving of the phase under test, or of none."""

    name: str
    unit: str
    arm: int
    in_phase: bool = True

    def served(self, phase_id: int) -> Served:
        at = int(START.timestamp() * 1000)
        phase, arm = (phase_id, self.arm) if self.in_phase else (0, 0)
        return Served(digest(self.name), digest(self.unit), digest("text"), phase, arm, 1, 1, at)


TOKENS = (
    Token("a", "u-1", 0), Token("b", "u-1", 0), Token("c", "单元-2", 1), Token("d", "単位-3", 1), Token("e", "u-4", 0),
    Token("f", "u-4", 1), Token("g", "u-5", 0, in_phase=False),
)  # fmt: skip
BY_ID = {str(UUID(bytes=digest(token.name))): token for token in TOKENS}

moments = st.one_of(  # where rules change: within half a second, around midnight, at the window's end
    st.integers(0, 3000).map(lambda ms: timedelta(milliseconds=ms)),
    st.integers(-180, 60 * 60).map(lambda minutes: timedelta(minutes=minutes)),
    st.sampled_from([2 * HOUR, WINDOW, WINDOW - timedelta(microseconds=1), ELSEWHERE, FASTEST_CLICK]),
)
events = st.builds(
    lambda token, kind, moment, flagged: (token, kind, START + moment, flagged),
    st.sampled_from(TOKENS), st.sampled_from(list(EventKind)), moments, st.sampled_from([False, False, False, True]),
)  # fmt: skip
Stream = Sequence[tuple[Token, EventKind, datetime, bool]]


def outcomes(stream: Stream) -> dict[str, Outcome]:
    """What the pure definition says, with the flags that the fold adds: a click without impression, or faster than a
    person.
    """
    told = [TokenEvent(str(UUID(bytes=digest(token.name))), kind, at, flagged) for token, kind, at, flagged in stream]
    inside = attribute([event for event in told if BY_ID[event.token].in_phase], WINDOW)
    return inside | attribute([event for event in told if not BY_ID[event.token].in_phase], ELSEWHERE)


def invalid(outcome: Outcome) -> bool:
    if outcome.click_at is None:
        return outcome.invalid
    if outcome.impression_at is None:
        return True
    return outcome.invalid or timedelta(0) <= outcome.click_at - outcome.impression_at < FASTEST_CLICK


def unit_sums(counted: Iterable[tuple[Token, Outcome]], arm: int) -> FunnelSums:
    """Sums over units, unit by unit."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for token, outcome in counted:
        if token.arm == arm:
            for i, one in enumerate((True, outcome.clicked, outcome.converted)):
                totals[token.unit][i] += one
    sums = [sum(unit[i] for unit in totals.values()) for i in range(3)]
    moments_ = [
        sum(unit[i] * unit[j] for unit in totals.values()) for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    ]
    return FunnelSums(len(totals), *map(float, sums + moments_))


async def write(connection: AsyncConnection, phase_id: int, stream: Stream, offset: int) -> None:
    new = {
        f"e-{offset + i}": NewEvent(
            f"e-{offset + i}", kind, token.served(phase_id), at, invalid_reason="bot" if flagged else None
        )
        for i, (token, kind, at, flagged) in enumerate(stream)
    }
    await store_events(connection, new)


async def rows(connection: AsyncConnection, table: str) -> list[Any]:
    return sorted((await connection.execute(text(f"SELECT * FROM {table}"))).all(), key=repr)


@pytest.fixture
async def phase_id(ad_system) -> int:
    return int((await ad_system.experiment(window_hours=24))["phase"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stream=st.lists(events, max_size=24),
    cuts=st.lists(st.integers(0, 24), max_size=2).map(sorted),
    hours=st.integers(0, 90),
)
async def test_the_sql_fold_is_attribution_whatever_the_order_and_the_steps(ad_system, phase_id, stream, cuts, hours):
    edges = [0, *cuts, len(stream)]
    async with ad_system.container.database.begin() as connection:
        # keep the service's own folder out
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        await connection.execute(text("TRUNCATE events, exposures, unit_days, stale_tokens"))
        for low, high in pairwise(edges):
            await write(connection, phase_id, stream[low:high], low)
            await fold(connection, ELSEWHERE)
            # what the end of a transaction does
            await connection.execute(text("TRUNCATE stale, touched, staged_events"))

        expected = outcomes(stream)
        exposures, unit_days = await rows(connection, "exposures"), await rows(connection, "unit_days")
        arm_days = await rows(connection, "arm_days WHERE impressions > 0")
        assert {
            str(row.serve_id): (
                row.impression_at,
                row.click_at,
                row.conversion_at,
                row.clicked,
                row.converted,
                row.invalid,
            )
            for row in exposures
        } == {
            key: (one.impression_at, one.click_at, one.conversion_at, one.clicked, one.converted, invalid(one))
            for key, one in expected.items()
        }

        cutoff = cutoff_of(START + timedelta(hours=hours) + WINDOW + LATENESS, WINDOW, LATENESS)
        shown = [(BY_ID[key], one) for key, one in expected.items() if one.impression_at and BY_ID[key].in_phase]
        for view, counted in (("all", shown), ("valid", [(token, one) for token, one in shown if not invalid(one)])):
            mature = [(token, one) for token, one in counted if one.impression_at < cutoff]
            days = await day_sums(connection, phase_id, view)
            partial = await cutoff_day_sums(connection, phase_id, view, cutoff)
            for arm in (0, 1):
                assert funnel_sums(row for row in days if row.arm == arm) == unit_sums(counted, arm)
                until = [row for row in days if row.day < cutoff.date()] + partial
                assert funnel_sums(row for row in until if row.arm == arm) == unit_sums(mature, arm)

        await rebuild(connection, ELSEWHERE)
        assert (await rows(connection, "exposures"), await rows(connection, "unit_days")) == (exposures, unit_days)
        assert await rows(connection, "arm_days") == arm_days


async def test_a_unit_shown_two_arms_is_counted_in_both(ad_system, phase_id):
    stream = [(token, EventKind.IMPRESSION, START + i * HOUR, False) for i, token in enumerate(TOKENS)]
    async with ad_system.container.database.begin() as connection:
        await write(connection, phase_id, stream, 0)
        await fold(connection, ELSEWHERE)
        days = await day_sums(connection, phase_id, "all")
    assert {arm: sum(row.units_in_two_arms for row in days if row.arm == arm) for arm in (0, 1)} == {0: 1, 1: 1}  # u-4


async def test_an_earlier_impression_that_comes_late_moves_the_unit_to_its_day(ad_system, phase_id):
    token = TOKENS[0]
    async with ad_system.container.database.begin() as connection:
        await write(connection, phase_id, [(token, EventKind.IMPRESSION, START + DAY, False)], 0)
        await fold(connection, ELSEWHERE)
    async with ad_system.container.database.begin() as connection:
        await write(connection, phase_id, [(token, EventKind.IMPRESSION, START, False)], 1)
        await fold(connection, ELSEWHERE)
        days = await day_sums(connection, phase_id, "all")
    assert [(row.day, row.impressions) for row in days] == [(date(2026, 11, 1), 1)]


async def test_the_folder_takes_all_that_waits_and_one_folds_at_a_time(ad_system, phase_id):
    async with ad_system.container.database.begin() as connection:
        await write(connection, phase_id, [(TOKENS[0], EventKind.IMPRESSION, START, False)], 0)
    async with ad_system.container.database.begin() as holder:
        await holder.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        assert await ad_system.container.aggregation._fold_all(wait=False) == 0
    assert await ad_system.container.aggregation.catch_up() == 1
    assert await ad_system.container.aggregation.catch_up() == 0
