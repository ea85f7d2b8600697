"""Events: what is accepted at the door, and what is refused by field."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from abtest.events import Event, EventKind, TokenEvent


def a_body(**changes: object) -> dict[str, object]:
    return {
        "event_id": "e-1",
        "kind": "click",
        "token": "k1.AbC-_=",
        "occurred_at": "2026-11-22T10:00:00+09:00",
    } | changes


def test_times_are_kept_in_utc():
    assert Event.model_validate(a_body()).occurred_at == datetime(2026, 11, 22, 1, tzinfo=UTC)
    assert Event.model_validate(a_body()).occurred_at.tzinfo is UTC


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-22T01:00:00Z",
        "2026-11-22t01:00:00z",
        "2026-11-22 01:00:00.123456+00:00",
        "2026-11-21T15:00:00-10:00",
        datetime(2026, 11, 22, tzinfo=UTC),
    ],
)
def test_a_time_with_an_offset_is_accepted(written):
    assert Event.model_validate(a_body(occurred_at=written)).occurred_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("occurred_at", "2026-11-22T10:00:00"),
        ("occurred_at", datetime(2026, 11, 22)),
        ("occurred_at", "2026-11-22"),
        ("occurred_at", 1_763_800_000),
        ("occurred_at", "1763800000"),
        ("occurred_at", "2026-02-30T00:00:00Z"),
        ("occurred_at", "0001-01-01T00:00:00+14:00"),
        ("occurred_at", "9999-12-31T23:59:59-14:00"),
        ("occurred_at", None),
        ("occurred_at", "昨天"),
        ("event_id", ""),
        ("event_id", "x" * 65),
        ("event_id", "a b"),
        ("event_id", "a\n"),
        ("event_id", 7),
        ("kind", "view"),
        ("token", ""),
        ("token", "x" * 401),
        ("token", "令牌"),
        ("token", "a\x00"),
        ("value", -0.01),
        ("value", 1.1e9),
        ("value", float("nan")),
        ("value", float("inf")),
        ("value", "12"),
        ("order_id", "x" * 65),
        ("order_id", "a\x07"),
        ("invalid_reason", ""),
        ("invalid_reason", "x" * 65),
        ("arm", "control"),
    ],
)
def test_a_field_out_of_bounds_is_refused_by_name(field, value):
    with pytest.raises(ValidationError) as refused:
        Event.model_validate(a_body(**{field: value}))
    assert {error["loc"][0] for error in refused.value.errors()} == {field}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", "用户-1:购买.2"),
        ("event_id", "注文_7"),
        ("value", 0),
        ("value", 1e9),
        ("order_id", "订单 42"),
        ("invalid_reason", "known bot"),
    ],
)
def test_a_field_within_bounds_is_kept(field, value):
    assert getattr(Event.model_validate(a_body(**{field: value})), field) == value


@given(st.datetimes(datetime(2001, 1, 1), datetime(2199, 1, 1)), st.timezones())
def test_an_event_survives_its_own_export(naive, zone):
    event = Event.model_validate(a_body(occurred_at=naive.replace(tzinfo=zone)))
    assert Event.model_validate_json(event.model_dump_json()) == event


def test_attribution_takes_no_time_without_an_offset():
    with pytest.raises(ValueError, match="offset"):
        TokenEvent("t", EventKind.CLICK, datetime(2026, 11, 22))
