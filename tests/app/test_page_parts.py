"""What pages are drawn from: numbers in words, interval bars on one axis, sparklines, plots, and how far an experiment
is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.document import Report
from app.pages import formats
from app.pages.figures import lift_by_first_day, lift_over_time
from app.pages.planner import Wish, plan
from app.pages.shapes import HALF, SPARK_HEIGHT, SPARK_WIDTH, Axis, spark
from app.services.experiments.lifecycle import ArmRecord, ExperimentRecord, PhaseRecord
from app.services.reports.counts import PhaseCounts
from app.services.reports.document import compose
from app.services.reports.guardrails import GuardrailData
from app.services.reports.question import Question
from app.services.reports.summaries import progress
from app.store.sums import DaySums


@dataclass(frozen=True)
class An:
    """An interval."""

    value: float | None
    low: float | None
    high: float | None


changes = st.floats(-0.99, 50, allow_nan=False)
edges = st.none() | changes
intervals = st.builds(An, edges, edges, edges)


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (formats.rate, 0.00708, "0.708 %"),
        (formats.rate, 0.306, "30.6 %"),
        (formats.rate, 1.0, "100 %"),
        (formats.rate, 0.0, "0 %"),
        (formats.rate, 1e-7, "0.0000 %"),
        (formats.rate, None, "–"),
        (formats.change, 0.061, "+6.1 %"),
        (formats.change, -0.34, "−34 %"),
        (formats.change, None, "–"),
        (formats.span, An(0.1, 0.019, 0.106), "(+1.9 % to +11 %)"),
        (formats.span, An(0.1, -0.5, None), "(−50 % to no upper limit)"),
        (formats.span, An(0.1, None, None), "–"),
        (formats.p_value, 0.2, "0.200"),
        (formats.p_value, 0.0043, "0.0043"),
        (formats.p_value, 1e-9, "< 0.0001"),
        (formats.p_value, None, "–"),
        (formats.count, 412030, "412,030"),
        (formats.plain, 50.0, "50"),
        (formats.plain, 33.33, "33.33"),
        (formats.days, 168, "7 days"),
        (formats.days, 24, "1 day"),
        (formats.days, 36, "36 hours"),
    ],
)
def test_figures_read_as_an_analyst_writes_them(read, value, words):
    assert read(value) == words


def test_a_moment_is_told_in_the_zone_that_was_asked_for():
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert formats.moment(noon) == "2026-11-22 12:00 UTC"
    assert formats.moment(noon, ZoneInfo("Asia/Tokyo")) == "2026-11-22 21:00 JST"


@given(st.lists(intervals, max_size=6), changes, changes)
def test_an_axis_keeps_order_and_stays_in_its_drawing(drawn, left, right):
    axis = Axis.around(drawn)
    assert 0 < axis.reach <= 1
    assert axis.x(0) == 0
    assert -HALF <= axis.x(left) <= HALF
    assert (axis.x(left) <= axis.x(right)) or left > right


@given(st.lists(intervals, min_size=1, max_size=6))
def test_a_bar_ends_in_an_arrow_only_where_its_interval_goes_on(drawn):
    axis = Axis.around(drawn)
    for interval in drawn:
        segment = axis.segment(interval)
        if segment is None:
            assert interval.low is None and interval.high is None
            continue
        low, high = (
            limit if limit is not None else sign * 9.0 for limit, sign in ((interval.low, -1), (interval.high, 1))
        )
        assert (segment.open_left, segment.open_right) == (low < -1, high > 1)


@given(st.lists(st.none() | changes, max_size=40))
def test_a_sparkline_holds_every_known_point(values):
    drawn, known = spark(values), [value for value in values if value is not None]
    assert (drawn is None) == (len(known) < 2)
    if drawn:
        points = [tuple(map(float, point.split(","))) for point in drawn.points.split()]
        assert len(points) == len(known)
        assert all(0 <= x <= SPARK_WIDTH and 0 <= y <= SPARK_HEIGHT for x, y in points)


@given(st.lists(intervals, min_size=1, max_size=30))
def test_plots_keep_every_day_and_zero_in_the_middle(points):
    days = [date(2026, 11, 1) + timedelta(days=number) for number in range(len(points))]
    for figure in (lift_over_time(days, points), lift_by_first_day(days, points)):
        assert figure["data"][-1]["x"] == [str(day) for day in days]
        low, high = figure["layout"]["yaxis"]["range"]
        assert low == -high


@given(
    st.builds(
        Wish,
        baseline_percent=st.floats(0.01, 10),
        lift_percent=st.floats(0.5, 30),
        units_a_day=st.integers(10, 10**7),
        impressions_per_unit=st.floats(0.5, 50),
        design_effect=st.floats(1, 20),
        power_percent=st.floats(10, 99),
    )
)
def test_a_plan_asked_backwards_gives_the_lift_it_was_made_for(wish):
    made = plan(wish)
    back = plan(wish.model_copy(update={"days": made.days}))
    assert back.smallest_lift is not None
    slack = 1 + 4 / made.units  # units and days are whole
    assert back.smallest_lift <= wish.lift_percent / 100 * slack
    assert all(later >= earlier for (_, earlier), (_, later) in zip(made.curve, made.curve[1:], strict=False))


@pytest.mark.parametrize(("units_a_day", "days", "reached"), [(100, 45, False), (2_000, 10, True), (0, None, False)])
def test_progress_counts_mature_units_against_the_plan(units_a_day, days, reached):
    """Ten days of running, of which five are mature (window 72 h, lateness 24 h), towards 4,000 units in both arms."""
    as_of = datetime(2026, 11, 22, tzinfo=UTC)
    found = progress(a_report(as_of, units_a_day), as_of - timedelta(days=9, hours=12))
    assert (found.day, found.days, found.reached) == (10, days, reached)


def a_report(as_of: datetime, units_a_day: int) -> Report:
    began = as_of - timedelta(days=9, hours=12)
    arms = (ArmRecord("control", "nlg-1", 5000), ArmRecord("treatment", "base-1", 5000))
    phase = PhaseRecord(1, 1, "salt", arms, began, None)
    experiment = ExperimentRecord(1, "进度", "default", "running", 0, 10_000, 72, 4_000, began, began, None, (phase,))
    question = Question(experiment, phase, as_of, "valid", ZoneInfo("UTC"))
    units = float(units_a_day / 2)
    rows = [
        DaySums(arm, day, day, units, units, 0.0, 0.0, units, 0.0, 0.0, 0.0, 0.0, 0.0, 0, int(units))
        for day in (began.date() + timedelta(days=number) for number in range(1, 6) if units)
        for arm in (0, 1)
    ]
    return compose(question, PhaseCounts(rows, rows), GuardrailData({}, {}, [], {"nlg-1": None, "base-1": None}))
