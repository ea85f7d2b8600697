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
