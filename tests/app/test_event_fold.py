"""The fold: what SQL makes of events is what `attribute` says, step by step or all at once, and the sums are the units'
own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from counting import DAY, HOUR, digest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from abtest.attribution import FASTEST_CLICK, LATENESS, Outcome, attribute
from abtest.events import EventKind, TokenEvent
from abtest.sums import FunnelSums
from app.core.tokens import Served
from app.store.database import AsyncConnection
from app.store.events import MACHINE, PERSON, Identity, NewEvent, store_events
from app.store.fold import LOCK, fold, rebuild
from app.store.sums import cutoff_day_sums, cutoff_of, day_sums, funnel_sums

START = datetime(2026, 11, 1, 22, tzinfo=UTC)
WINDOW, ELSEWHERE = 24 * HOUR, 12 * HOUR
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Token:
    """A serving of the phase under test, or of none."""

    name: str
    unit: str
    arm: int
    in_phase: bool = True
    text: str = "text"

    def served(self, phase_id: int) -> Served:
        at = int(START.timestamp() * 1000)
        phase, arm = (phase_id, self.arm) if self.in_phase else (0, 0)
        return Served(digest(self.name), digest(self.unit), digest(self.text), phase, arm, 1, 1, at)


TOKENS = (
    Token("a", "u-1", 0), Token("b", "u-1", 0), Token("c", "单元-2", 1), Token("d", "単位-3", 1, text="other"),
    Token("e", "u-4", 0), Token("f", "u-4", 1), Token("g", "u-5", 0, in_phase=False),
)  # fmt: skip
BY_ID = {str(UUID(bytes=digest(token.name))): token for token in TOKENS}


@dataclass(frozen=True)
class Told:
    """One event as a sender reports it."""

    token: Token
    kind: EventKind
    at: datetime
    event_id: str
    corrects: str | None = None
    value: float | None = None
    order: str | None = None
    flagged: bool = False

    def stored(self, phase_id: int) -> NewEvent:
        served, reason = self.token.served(phase_id), "bot" if self.flagged else None
        return NewEvent(self.event_id, self.kind, served, self.at, self.value, None, self.order, self.corrects, reason)

    def pure(self) -> TokenEvent:
        """The same for `attribute`. A text that is not in the database stands for its advertiser."""
        advertiser = str(UUID(bytes=digest(self.token.text)))
        return TokenEvent(
            str(UUID(bytes=digest(self.token.name))),
            self.kind,
            self.at,
            invalid=self.flagged,
            event_id=self.event_id,
            corrects=self.corrects,
            value=self.value,
            order=(advertiser, self.order) if self.order else None,
            machine=self.event_id == MACHINE,
            served_at=START,
        )


moments = st.one_of(  # where rules change: within half a second, around midnight and whole hours, at the window's end
    st.integers(0, 3000).map(lambda ms: timedelta(milliseconds=ms)),
    st.integers(-180, 60 * 60).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(-61, 61).map(lambda seconds: HOUR + timedelta(seconds=seconds)),
    st.integers(0, 40).map(lambda minutes: timedelta(minutes=minutes, milliseconds=7)),
    st.sampled_from([2 * HOUR, WINDOW, WINDOW - timedelta(microseconds=1), ELSEWHERE, FASTEST_CLICK, 15 * HOUR]),
).map(lambda moment: START + moment)
IDS = st.sampled_from(["auction-7", "1", "用户-1"])
FUNNEL = [kind for kind in EventKind if kind is not EventKind.RETRACTION]
reports = st.builds(
    Told, st.sampled_from(TOKENS), st.sampled_from(FUNNEL), moments, IDS, value=st.sampled_from([None, 1.0, 2.5]),
    order=st.sampled_from([None, None, "o-1", "订单-2"]), flagged=st.sampled_from([False, False, False, True]),
)  # fmt: skip
corrections = st.builds(
    Told, st.sampled_from(TOKENS), st.sampled_from(EventKind), moments, st.sampled_from(["fix-1", "fix-2"]), IDS,
    value=st.sampled_from([None, 4.0]), order=st.sampled_from([None, "o-1"]), flagged=st.booleans(),
)  # fmt: skip
pixels = st.builds(
    lambda token, kind, at, by: Told(token, kind, at, by, flagged=by == MACHINE),
    st.sampled_from(TOKENS), st.sampled_from(FUNNEL[:2]), moments, st.sampled_from([PERSON, MACHINE]),
)  # fmt: skip
events = st.one_of(reports, reports, corrections, pixels)
Stream = Sequence[Told]


def outcomes(stream: Stream) -> dict[str, Outcome]:
    """What the pure definition says of the events, each of which is stored once, as it came first."""
    first: dict[Any, Told] = {}
    for told in stream:
        first.setdefault((told.token, told.kind, told.event_id), told)
    inside = [told.pure() for told in first.values() if told.token.in_phase]
    outside = [told.pure() for told in first.values() if not told.token.in_phase]
    return attribute(inside, WINDOW) | attribute(outside, ELSEWHERE)


def unit_sums(counted: Iterable[tuple[Token, Outcome]], arm: int) -> FunnelSums:
    """Sums over units, unit by unit."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for token, outcome in counted:
        if token.arm == arm:
            for i, happened in enumerate((True, outcome.clicked, outcome.converted)):
                totals[token.unit][i] += happened
    sums = [sum(unit[i] for unit in totals.values()) for i in range(3)]
    moments_ = [
        sum(unit[i] * unit[j] for unit in totals.values()) for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    ]
    return FunnelSums(len(totals), *map(float, sums + moments_))


async def write(connection: AsyncConnection, phase_id: int, stream: Stream) -> None:
    new: dict[Identity, NewEvent] = {}
    for told in stream:
        event = told.stored(phase_id)
        new.setdefault(event.identity, event)
    await store_events(connection, new)


def shown(token: Token, at: datetime) -> Told:
    return Told(token, EventKind.IMPRESSION, at, "shown")


ARM_DAYS = "arm_days WHERE impressions > 0"
TOKEN_DAYS = "token_days WHERE tokens > 0"


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
            await write(connection, phase_id, stream[low:high])
            await fold(connection, ELSEWHERE)
            # what the end of a transaction does
            await connection.execute(text("TRUNCATE stale, touched, touched_orders, staged_events"))

        expected = outcomes(stream)
        exposures, unit_days = await rows(connection, "exposures"), await rows(connection, "unit_days")
        arm_days, token_days = await rows(connection, ARM_DAYS), await rows(connection, TOKEN_DAYS)
        names = [field.name for field in fields(Outcome) if field.name != "token"]
        assert {str(row.serve_id): {name: getattr(row, name) for name in names} for row in exposures} == {
            key: {name: getattr(outcome, name) for name in names} for key, outcome in expected.items()
        }

        cutoff = cutoff_of(START + timedelta(hours=hours) + WINDOW + LATENESS, WINDOW, LATENESS)
        # the units of u-4 that were shown both arms are left out
        seen = [
            (BY_ID[key], outcome) for key, outcome in expected.items() if outcome.impression_at and not outcome.shifted
        ]
        arms = {token.arm for token, _ in seen if token.unit == "u-4"}
        counted_in_all = [
            (token, outcome) for token, outcome in seen if token.in_phase and (token.unit != "u-4" or len(arms) == 1)
        ]
        valid = [(token, outcome) for token, outcome in counted_in_all if not outcome.invalid]
        for view, counted in (("all", counted_in_all), ("valid", valid)):
            mature = [(token, outcome) for token, outcome in counted if outcome.impression_at < cutoff]
            days = await day_sums(connection, phase_id, view)
            partial = await cutoff_day_sums(connection, phase_id, view, cutoff)
            for arm in (0, 1):
                assert funnel_sums(row for row in days if row.arm == arm) == unit_sums(counted, arm)
                until = [row for row in days if row.day < cutoff.date()] + partial
                assert funnel_sums(row for row in until if row.arm == arm) == unit_sums(mature, arm)

        await rebuild(connection, ELSEWHERE)
        assert (await rows(connection, "exposures"), await rows(connection, "unit_days")) == (exposures, unit_days)
        assert (await rows(connection, ARM_DAYS), await rows(connection, TOKEN_DAYS)) == (arm_days, token_days)


async def test_a_unit_shown_two_arms_is_left_out_of_the_sums_and_counted(ad_system, phase_id):
    async with ad_system.container.database.begin() as connection:
        await write(connection, phase_id, [shown(token, START + i * MINUTE) for i, token in enumerate(TOKENS)])
        await fold(connection, ELSEWHERE)
        days = await day_sums(connection, phase_id, "all")
        partial = await cutoff_day_sums(connection, phase_id, "all", START + HOUR)
    by_arm = {arm: [row for row in days if row.arm == arm] for arm in (0, 1)}
    assert {arm: sum(row.units_in_two_arms for row in rows_) for arm, rows_ in by_arm.items()} == {0: 1, 1: 1}  # u-4
    for counted in (days, partial):
        assert {arm: sum(row.n for row in counted if row.arm == arm) for arm in (0, 1)} == {0: 1, 1: 2}


async def test_an_earlier_impression_that_comes_late_moves_the_unit_to_its_day(ad_system, phase_id):
    token = TOKENS[0]
    async with ad_system.container.database.begin() as connection:
        await write(connection, phase_id, [shown(token, START + DAY)])
        await fold(connection, ELSEWHERE)
    async with ad_system.container.database.begin() as connection:
        await write(connection, phase_id, [replace(shown(token, START), event_id="earlier")])
        await fold(connection, ELSEWHERE)
        days = await day_sums(connection, phase_id, "all")
    assert [(row.day, row.impressions) for row in days] == [(date(2026, 11, 1), 1)]


async def test_the_folder_takes_all_that_waits_and_one_folds_at_a_time(ad_system, phase_id):
    async with ad_system.container.database.begin() as connection:
        await write(connection, phase_id, [shown(TOKENS[0], START)])
    async with ad_system.container.database.begin() as holder:
        await holder.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        assert await ad_system.container.aggregation._fold_all(wait=False) == 0
    assert await ad_system.container.aggregation.catch_up() == 1
    assert await ad_system.container.aggregation.catch_up() == 0
