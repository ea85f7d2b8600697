"""Attribution beyond the funnel: corrections, orders, machines, clicks that no person made, clocks of other zones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from abtest.attribution import attribute
from abtest.events import EventKind, TokenEvent

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
WINDOW = timedelta(days=7)
SHOP = "青禾"


def event(kind, minute=0.0, token="a", **more):
    return TokenEvent(token, EventKind(kind), NOON + timedelta(minutes=minute), **more)


def sale(minute=60.0, token="a", **more):
    return event("conversion", minute, token, **({"event_id": "sale", "value": 80.0} | more))


def funnel(*conversions, token="a"):
    return [event("impression", token=token), event("click", 5, token), *conversions]


def outcome(events, token="a"):
    return attribute(events, WINDOW)[token]


# ---- corrections


def test_a_retraction_takes_the_conversion_back():
    found = outcome(funnel(sale(), event("retraction", 90, corrects="sale")))
    assert (found.converted, found.conversion_at, found.value) == (False, None, None)
    assert found.clicked


def test_a_retraction_of_another_event_takes_nothing_back():
    assert outcome(funnel(sale(), event("retraction", 90, corrects="other"))).converted


def test_a_retraction_takes_back_the_only_event_with_its_id_whatever_its_kind():
    clicked = [event("impression"), event("click", 5, event_id="tap"), event("retraction", 9, corrects="tap")]
    assert not outcome(clicked).clicked


def test_a_retraction_prefers_the_conversion_among_events_with_one_id():
    told = [event("impression"), event("click", 5, event_id="x"), sale(event_id="x")]
    found = outcome([*told, event("retraction", 90, corrects="x")])
    assert (found.clicked, found.converted) == (True, False)


def test_a_retraction_that_may_mean_two_events_takes_neither_back():
    events = [event("impression", event_id="x"), event("click", 5, event_id="x"), event("retraction", 9, corrects="x")]
    found = outcome(events)
    assert found.impression_at == NOON and found.clicked


def test_what_is_stated_anew_keeps_its_time_and_takes_value_order_and_flag():
    stated = sale(90, event_id="again", corrects="sale", value=120.0, invalid=True)
    found = outcome(funnel(sale(order=(SHOP, "1")), stated))
    assert (found.conversion_at, found.value, found.converted, found.invalid) == (
        NOON + timedelta(hours=1), 120.0, True, True,
    )  # fmt: skip


def test_a_restatement_corrects_only_its_own_kind():
    found = outcome(funnel(sale(), event("click", 90, corrects="sale", value=1.0)))
    assert (found.value, found.converted) == (80.0, True)


@pytest.mark.parametrize(("late", "converted"), [(59, True), (60, False), (61, False)])
def test_a_correction_before_its_event_corrects_nothing(late, converted):
    assert outcome(funnel(sale(), event("retraction", late, corrects="sale"))).converted is converted


def test_the_latest_correction_decides_and_a_retraction_at_the_same_time_wins():
    stated = sale(90, event_id="again", corrects="sale", value=120.0)
    for retracted, converted in ((80, True), (90, False), (100, False)):
        events = funnel(sale(), stated, event("retraction", retracted, corrects="sale"))
        assert outcome(events).converted is converted
        assert outcome(events[::-1]).converted is converted


# ---- one order, one conversion


def test_an_order_counts_once_for_its_earliest_conversion():
    order = (SHOP, "订单-7")
    later, earlier = funnel(sale(70, order=order)), funnel(sale(60, "b", order=order), token="b")
    found = attribute([*later, *earlier], WINDOW)
    assert (found["a"].converted, found["a"].repeated_order) == (False, True)
    assert (found["b"].converted, found["b"].repeated_order) == (True, False)


def test_the_first_token_keeps_an_order_that_two_report_at_one_time():
    order = (SHOP, "订单-7")
    found = attribute([*funnel(sale(60, "b", order=order), token="b"), *funnel(sale(60, order=order))], WINDOW)
    assert (found["a"].converted, found["b"].converted, found["b"].repeated_order) == (True, False, True)


@pytest.mark.parametrize("other", [(SHOP, "2"), ("Tarn Mill", "1"), None])
def test_other_orders_count_apart(other):
    found = attribute([*funnel(sale(order=(SHOP, "1"))), *funnel(sale(token="b", order=other), token="b")], WINDOW)
    assert all(token.converted and not token.repeated_order for token in found.values())


def test_a_conversion_that_does_not_count_holds_no_order():
    order = (SHOP, "1")
    viewed = [event("impression", token="b"), sale(50, "b", order=order)]
    found = attribute([*viewed, *funnel(sale(60, order=order))], WINDOW)
    assert found["b"].view_through and found["a"].converted


def test_a_restatement_without_an_order_keeps_the_order():
    stated = sale(90, event_id="again", corrects="sale")
    first = funnel(sale(60, order=(SHOP, "1")), stated)
    second = funnel(sale(70, "b", order=(SHOP, "1")), token="b")
    assert attribute([*first, *second], WINDOW)["b"].repeated_order
    renamed = funnel(sale(60, order=(SHOP, "1")), replace(stated, order=(SHOP, "2")))
    assert attribute([*renamed, *second], WINDOW)["b"].converted


# ---- machines


def test_what_a_machine_loaded_is_nothing_beside_a_persons_impression():
    events = [event("impression", -30, machine=True), event("impression"), event("click", 1, machine=True)]
    found = outcome(events)
    assert (found.impression_at, found.click_at, found.invalid) == (NOON, None, False)


def test_a_machines_impression_stands_alone_and_is_invalid():
    found = outcome([event("impression", machine=True), event("click", 5)])
    assert (found.impression_at, found.clicked, found.invalid) == (NOON, True, True)
    assert not outcome([event("impression")]).invalid
    assert not outcome([sale()]).invalid  # late, but nobody's machine


# ---- clicks that no person made, and clocks


@pytest.mark.parametrize(
    ("milliseconds", "invalid"), [(0, True), (499, True), (500, False), (2000, False), (-1, False)]
)
def test_a_click_faster_than_a_person_is_invalid(milliseconds, invalid):
    shown = NOON + timedelta(milliseconds=3)
    clicked = shown + timedelta(milliseconds=milliseconds)
    events = [replace(event("impression"), occurred_at=shown), replace(event("click"), occurred_at=clicked)]
    assert outcome(events).invalid is invalid


def test_whole_seconds_cannot_tell_how_fast_a_click_was():
    for shown, clicked in ((0, 0), (0, 400), (3, -3)):  # milliseconds: one of the two times has no fraction
        events = [event("impression"), event("click")]
        times = [NOON + timedelta(milliseconds=shown), NOON + timedelta(milliseconds=shown + clicked)]
        assert not outcome([replace(e, occurred_at=at) for e, at in zip(events, times, strict=True)]).invalid


def test_a_click_without_an_impression_is_invalid():
    assert outcome([event("click", 5)]).invalid


@pytest.mark.parametrize(
    ("minutes", "shifted"),
    [
        (0, False), (2, False), (30, False), (58, False), (59, True), (60, True), (61, True), (62, False),
        (8 * 60, True), (14 * 60 + 1, True), (15 * 60, False), (-60, False),
    ],
)  # fmt: skip
def test_an_impression_whole_hours_after_its_serving_is_of_a_shifted_clock(minutes, shifted):
    served = NOON - timedelta(minutes=minutes)
    events = [event("impression", served_at=served), event("click", 5, served_at=served), sale(60, served_at=served)]
    found = outcome(events)
    assert (found.shifted, found.clicked, found.converted) == (shifted, not shifted, not shifted)


@pytest.mark.parametrize(
    ("earlier", "later", "counts"),
    [
        ("12:00:00.400", "12:00:00.000", True),  # the later clock writes whole seconds
        ("12:00:01.400", "12:00:00.000", True),  # … or whole minutes: any time of 12:00
        ("12:59:00.400", "12:00:00.000", True),  # … or whole hours
        ("12:00:00.000", "11:00:00.000", False),  # no fraction before it: nothing is forgiven
        ("12:01:01.400", "12:01:00.000", True),
        ("12:02:01.400", "12:01:00.000", False),
        ("12:00:07.400", "12:00:07.000", True),
        ("12:00:08.400", "12:00:07.000", False),
    ],
)
def test_a_coarse_clock_is_not_held_against_a_fine_one(earlier, later, counts):
    click, conversion = (datetime.fromisoformat(f"2026-11-22T{time}+00:00") for time in (earlier, later))
    events = [event("impression", -600), event("click"), sale()]
    times = [events[0].occurred_at, click, conversion]
    assert outcome([replace(e, occurred_at=at) for e, at in zip(events, times, strict=True)]).converted is counts
