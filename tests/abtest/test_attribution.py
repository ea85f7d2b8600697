"""Attribution: which clicks and conversions count, whatever order they arrive in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.attribution import LATENESS, attribute, mature
from abtest.events import EventKind, TokenEvent

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
WINDOW = timedelta(days=7)
KINDS = {"i": EventKind.IMPRESSION, "c": EventKind.CLICK, "y": EventKind.CONVERSION}
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def events(history: str, token: str = "广告-1") -> list[TokenEvent]:
    """`i0 c5 y60`: impression at noon, click five minutes later, conversion an hour later."""
    return [TokenEvent(token, KINDS[word[0]], NOON + timedelta(minutes=float(word[1:]))) for word in history.split()]


def the_outcome(history: str):
    return attribute(events(history), WINDOW)["广告-1"]


@pytest.mark.parametrize(("history", "clicked", "converted", "view_through", "orphan"), [
    ("i0",                 False, False, False, False),
    ("i0 c5",              True,  False, False, False),
    ("i0 c5 y60",          True,  True,  False, False),
    ("y60 c5 i0",          True,  True,  False, False),   # the last came first
    ("i0 c5 y5",           True,  True,  False, False),   # a conversion at its click
    ("i0 c0 y0",           True,  True,  False, False),
    ("i0 c5 y10079.99",    True,  True,  False, False),   # inside seven days
    ("i0 c5 y10080",       True,  False, False, False),   # the window is half open
    ("i0 c10080",          False, False, False, False),
    ("i0 c-3",             True,  False, False, False),   # a skewed clock: the click still had its impression
    ("i0 c-3 y60",         True,  True,  False, False),
    ("i0 c-9 y-3",         True,  False, False, False),   # converted before it was shown
    ("i0 y60",             False, False, True,  False),   # view-through
    ("i0 c90 y60",         True,  False, True,  False),   # clicked too late to have caused it
    ("i0 c90 y60 y120",    True,  False, True,  False),   # the earliest conversion is the token's one conversion
    ("i0 c5 y60 y70 i30",  True,  True,  False, False),   # repeats
    ("c5",                 False, False, False, True),
    ("c5 y60",             False, False, False, True),
])  # fmt: skip
def test_what_counts(history, clicked, converted, view_through, orphan):
    outcome = the_outcome(history)
    assert (outcome.clicked, outcome.converted, outcome.view_through, outcome.orphan) == (
        clicked,
        converted,
        view_through,
        orphan,
    )


def told(kind: EventKind, after: timedelta = timedelta(0), token: str = "广告-1", **more: object) -> TokenEvent:
    """One event, so long after a quarter past noon and a bit, by a clock that writes fractions of a second."""
    return TokenEvent(token, kind, QUARTER + after, served_at=QUARTER - SECOND, **more)


QUARTER = datetime(2026, 11, 22, 12, 17, 23, 456_789, tzinfo=UTC)
IMPRESSION, CLICK, CONVERSION, RETRACTION = EventKind
SALE = [told(IMPRESSION), told(CLICK, MINUTE), told(CONVERSION, HOUR, event_id="sale", value=10.0)]


@pytest.mark.parametrize(
    ("resolution", "clicked_after"),
    [
        ({"microsecond": 0}, timedelta(0)),
        ({"second": 0, "microsecond": 0}, timedelta(0)),
        ({"second": 0, "microsecond": 0}, 20 * SECOND),
        ({"minute": 0, "second": 0, "microsecond": 0}, 30 * MINUTE),
    ],
)
def test_a_clock_of_seconds_minutes_or_hours_keeps_its_clicks_and_conversions(resolution, clicked_after):
    """The click has the impression's own time: no person is that fast, but no such clock can say so."""
    times = {IMPRESSION: QUARTER, CLICK: QUARTER + clicked_after, CONVERSION: QUARTER + clicked_after + 5 * SECOND}
    coarse = [TokenEvent("t", kind, at.replace(**resolution), served_at=QUARTER) for kind, at in times.items()]
    outcome = attribute(coarse, WINDOW)["t"]
    assert (outcome.clicked, outcome.converted, outcome.invalid) == (True, True, False)


@pytest.mark.parametrize(("after", "invalid"), [(0.0, True), (0.499, True), (0.5, False), (-0.2, False)])
def test_a_click_faster_than_a_person_is_invalid_where_both_clocks_can_tell(after, invalid):
    click = told(CLICK, timedelta(seconds=after))
    assert attribute([told(IMPRESSION), click], WINDOW)["广告-1"].invalid == invalid


@pytest.mark.parametrize("resolution", [{"second": 0, "microsecond": 0}, {"minute": 0, "second": 0, "microsecond": 0}])
def test_a_sale_from_a_coarse_clock_is_not_before_the_pixels_that_led_to_it(resolution):
    sale = TokenEvent("广告-1", CONVERSION, QUARTER.replace(**resolution))
    outcome = attribute([told(IMPRESSION), told(CLICK, 9 * SECOND), sale], WINDOW)["广告-1"]
    assert outcome.converted and not outcome.view_through


@pytest.mark.parametrize(
    ("late", "shifted"),
    [(HOUR, True), (9 * HOUR, True), (9 * HOUR + 55 * SECOND, True), (14 * HOUR, True),
     (timedelta(0), False), (30 * MINUTE, False), (9 * HOUR + 2 * MINUTE, False), (15 * HOUR, False)],
)  # fmt: skip
def test_a_clock_of_another_time_zone_is_seen_and_never_counted(late, shifted):
    outcome = attribute([told(kind, late + n * SECOND) for n, kind in enumerate(KINDS.values())], WINDOW)["广告-1"]
    assert (outcome.shifted, outcome.clicked, outcome.converted) == (shifted, not shifted, not shifted)


@pytest.mark.parametrize(
    ("corrections", "converted", "value"),
    [
        ([told(RETRACTION, 2 * HOUR, event_id="refund", corrects="sale")], False, None),
        ([told(RETRACTION, HOUR, event_id="refund", corrects="sale")], False, None),  # equal times are in order
        ([told(RETRACTION, HOUR - SECOND, event_id="refund", corrects="sale")], True, 10.0),  # the sale is later
        ([told(RETRACTION, 2 * HOUR, event_id="refund", corrects="another")], True, 10.0),
        ([told(CONVERSION, 9 * DAY, event_id="fix", corrects="sale", value=7.0)], True, 7.0),  # keeps its time
        ([told(CONVERSION, 2 * HOUR, event_id="fix", corrects="sale", value=7.0),
          told(RETRACTION, 3 * HOUR, event_id="refund", corrects="sale")], False, None),
        ([told(RETRACTION, 2 * HOUR, event_id="refund", corrects="sale"),
          told(CONVERSION, 3 * HOUR, event_id="fix", corrects="sale", value=7.0)], True, 7.0),
    ],
)  # fmt: skip
def test_the_latest_retraction_or_restatement_decides(corrections, converted, value):
    outcome = attribute(corrections[::-1] + SALE, WINDOW)["广告-1"]
    assert (outcome.clicked, outcome.converted, outcome.value) == (True, converted, value)


def test_a_restatement_of_a_sale_that_never_came_is_no_sale():
    fix = told(CONVERSION, 2 * HOUR, event_id="fix", corrects="sale", value=7.0)
    assert attribute([*SALE[:2], fix], WINDOW)["广告-1"].conversion_at is None


def test_a_retraction_takes_back_the_sale_of_an_auction_id_that_all_events_share():
    events_ = [told(kind, n * MINUTE, event_id="auction-7") for n, kind in enumerate(KINDS.values())]
    refund = told(RETRACTION, HOUR, event_id="refund", corrects="auction-7")
    outcome = attribute([refund, *events_], WINDOW)["广告-1"]
    assert (outcome.impression_at, outcome.clicked, outcome.converted) == (QUARTER, True, False)
    assert attribute([refund, *events_[:2]], WINDOW)["广告-1"].clicked  # two events have this id, so neither is meant


def test_an_order_counts_once_on_whichever_token_it_came_first():
    def sold(token: str, after: timedelta, order: tuple[str, str] | None, *, clicked: bool = True) -> list[TokenEvent]:
        funnel = [told(IMPRESSION, token=token), told(CONVERSION, after, token, order=order)]
        return [*funnel, told(CLICK, SECOND, token)] if clicked else funnel

    stream = [
        *sold("late", 2 * HOUR, ("青禾", "o-1")), *sold("first", HOUR, ("青禾", "o-1")),
        *sold("unclicked", MINUTE, ("青禾", "o-1"), clicked=False),  # would not count, so it holds no order
        *sold("other advertiser", HOUR, ("Fell & Moor", "o-1")), *sold("no order", HOUR, None),
    ]  # fmt: skip
    outcomes = attribute(stream, WINDOW)
    assert {token for token, outcome in outcomes.items() if outcome.converted} == {
        "first", "other advertiser", "no order",
    }  # fmt: skip
    assert [token for token, outcome in outcomes.items() if outcome.repeated_order] == ["late"]


@pytest.mark.parametrize(
    ("kinds_of_machines", "clicked", "invalid"),
    [([IMPRESSION], True, False), ([CLICK], True, False), ([IMPRESSION, CLICK], True, False)],
)
def test_what_a_machine_loaded_does_not_void_a_persons_view(kinds_of_machines, clicked, invalid):
    machines = [told(kind, -SECOND, machine=True, invalid=True) for kind in kinds_of_machines]
    outcome = attribute([*machines, told(IMPRESSION), told(CLICK, MINUTE)], WINDOW)["广告-1"]
    assert (outcome.impression_at, outcome.clicked, outcome.invalid) == (QUARTER, clicked, invalid)


moments = st.integers(-20, 20).map(lambda hours: NOON + timedelta(hours=hours * 12))
streams = st.lists(
    st.builds(TokenEvent, st.sampled_from("abc"), st.sampled_from(EventKind), moments, st.booleans()), max_size=20
)


@given(stream=streams, data=st.data())
def test_outcomes_ignore_the_order_and_the_repetition_of_events(stream, data):
    again = data.draw(st.lists(st.sampled_from(stream), max_size=20)) if stream else []
    assert attribute(data.draw(st.permutations(stream + again)), WINDOW) == attribute(stream, WINDOW)


@given(stream=streams)
def test_a_counted_conversion_implies_a_counted_click_and_an_impression(stream):
    for outcome in attribute(stream, WINDOW).values():
        assert not outcome.converted or (outcome.clicked and outcome.impression_at is not None)
        assert not (outcome.converted and outcome.view_through)


@given(stream=streams)
def test_tokens_do_not_touch_each_other(stream):
    together = attribute(stream, WINDOW)
    apart = {token: attribute([e for e in stream if e.token == token], WINDOW)[token] for token in together}
    assert together == apart


def test_one_flagged_event_marks_the_whole_token():
    valid, invalid = events("i0 c5"), [TokenEvent("广告-1", EventKind.CLICK, NOON + timedelta(minutes=9), invalid=True)]
    assert not attribute(valid, WINDOW)["广告-1"].invalid
    assert attribute(valid + invalid, WINDOW)["广告-1"].invalid


def test_an_impression_matures_after_window_and_lateness():
    ripe = NOON + WINDOW + LATENESS
    assert mature(NOON, WINDOW, as_of=ripe)
    assert not mature(NOON, WINDOW, as_of=ripe - timedelta(microseconds=1))


def test_a_window_must_be_positive():
    with pytest.raises(ValueError, match="window"):
        attribute([], timedelta(0))
