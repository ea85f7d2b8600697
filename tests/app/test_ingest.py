"""POST /events: every row judged by itself, answered after the commit."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from counting import DAY, HOUR, an_event

from app.core.tokens import Sealer, Served


def stored(database: psycopg.Connection[tuple[Any, ...]]) -> int:
    row = database.execute("SELECT count(*) FROM events").fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def closed_database(postgres: str, name: str) -> Iterator[None]:
    """The database away: the service's connections are cut and no new one is let in."""
    with psycopg.connect(postgres, autocommit=True) as maintenance:
        maintenance.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name <> 'test'"
        maintenance.execute(cut, (name,))
        yield
        maintenance.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def test_a_batch_is_answered_row_by_row_in_order(ad_system, database):
    token = ad_system.serve()
    first, click = an_event(token), an_event(token, "click", value=2.5, order_id="订单-7\\n", invalid_reason=None)
    answers = await ad_system.report(first, first, click, an_event("not-a-token"), {"event_id": "bad", "kind": "view"})
    assert [(answer["event_id"], answer["status"], answer["reason"]) for answer in answers] == [
        (first["event_id"], "accepted", None),
        (first["event_id"], "duplicate", None),
        (click["event_id"], "accepted", None),
        (answers[3]["event_id"], "rejected", "forged_token"),
        ("bad", "rejected", "invalid_event"),
    ]
    assert stored(database) == 2
    assert database.execute("SELECT order_id, value FROM events WHERE kind = 1").fetchone() == ("订单-7\\n", 2.5)


async def test_a_repeated_batch_changes_nothing(ad_system, database):
    batch = [an_event(ad_system.serve(f"u-{i}")) for i in range(20)]
    await ad_system.report(*batch)
    answers = await ad_system.report(*reversed(batch))
    assert {answer["status"] for answer in answers} == {"duplicate"}
    assert stored(database) == 20


async def test_the_same_kind_of_one_token_under_another_id_is_accepted(ad_system):
    token = ad_system.serve()
    answers = await ad_system.report(an_event(token), an_event(token))
    assert [answer["status"] for answer in answers] == ["accepted", "accepted"]


async def test_one_auction_id_for_impression_click_and_conversion_keeps_all_three(ad_system, database):
    token, now = ad_system.serve(), datetime.now(UTC)
    kinds = ("impression", "click", "conversion")
    answers = await ad_system.report(*(an_event(token, kind, now, event_id="auction-7") for kind in kinds))
    assert [answer["status"] for answer in answers] == ["accepted"] * 3
    await ad_system.container.aggregation.catch_up()
    assert database.execute("SELECT clicked, converted, reused_ids FROM exposures").fetchall() == [(True, True, 2)]
    again = await ad_system.report(*(an_event(token, kind, now, event_id="auction-7") for kind in kinds))
    assert [answer["status"] for answer in again] == ["duplicate"] * 3


async def test_two_senders_that_number_from_one_do_not_lose_each_others_events(ad_system, database):
    for unit in ("u-1", "用户-2"):
        events = [an_event(ad_system.serve(unit), event_id=str(number)) for number in (1, 2)]
        assert [answer["status"] for answer in await ad_system.report(*events)] == ["accepted"] * 2
    assert stored(database) == 4
    assert database.execute("SELECT count(*) FROM events WHERE reused").fetchone() == (2,)


INVALID = [  # what is wrong, the field that is named, the rule that is named
    ({"kind": "view"}, "kind", "impression"),
    ({"occurred_at": "2026-11-22T10:00:00"}, "occurred_at", "offset"),
    ({"occurred_at": 1763800000}, "occurred_at", "RFC 3339"),
    ({"event_id": "a b"}, "event_id", "match"),
    ({"event_id": ""}, "event_id", "match"),
    ({"value": -1}, "value", "greater"),
    ({"currency": "euro"}, "currency", "match"),
    ({"kind": "retraction"}, "event", "corrects"),
    ({"kind": "click", "event_id": "e", "corrects": "e"}, "event", "an id of its own"),
    ({"event_id": "pixel/person"}, "event_id", "match"),
    ({"order_id": "a\x00b"}, "order_id", "control character"),
    ({"colour": "赤"}, "colour", "Extra"),
]


async def test_an_invalid_row_names_its_field_and_sinks_nothing(ad_system, database):
    rows = [{**an_event(ad_system.serve()), **over} for over, _, _ in INVALID]
    *answers, good = await ad_system.report(*rows, an_event(ad_system.serve()))
    assert [(answer["status"], answer["reason"], answer["field"]) for answer in answers] == [
        ("rejected", "invalid_event", field) for _, field, _ in INVALID
    ]
    assert [answer["index"] for answer in answers] == list(range(len(INVALID)))
    assert all(says in answer["detail"] for answer, (_, _, says) in zip(answers, INVALID, strict=True))
    assert good["status"] == "accepted"
    assert stored(database) == 1


async def test_an_event_from_the_future_is_refused_beyond_five_minutes_of_skew(ad_system):
    token, now = ad_system.serve(), datetime.now(UTC)
    near, far = await ad_system.report(
        an_event(token, at=now + timedelta(minutes=4)), an_event(token, at=now + timedelta(minutes=6))
    )
    assert near["status"] == "accepted"
    assert (far["reason"], far["field"]) == ("future_event", "occurred_at")


@pytest.mark.parametrize(
    ("ago", "reason"),
    [
        (timedelta(seconds=20), None),  # the sender's clock is a little slow
        (timedelta(minutes=4), None),
        (timedelta(minutes=7), "before_serving"),
        (5 * HOUR, "before_serving"),  # the local time of New York, sent as UTC
        (26 * 365 * DAY, "before_serving"),
    ],
)
async def test_an_event_from_before_its_serving_is_refused_by_name(ad_system, database, ago, reason):
    now = datetime.now(UTC)
    for kind in ("impression", "click", "conversion"):
        (answer,) = await ad_system.report(
            an_event(ad_system.serve(at=now), kind, now - ago + timedelta(microseconds=7))
        )
        assert (answer["reason"], answer["field"]) == (reason, "occurred_at" if reason else None)
    assert stored(database) == (0 if reason else 3)


@pytest.mark.parametrize(
    "resolution", [{"microsecond": 0}, {"second": 0, "microsecond": 0}, {"minute": 0, "second": 0, "microsecond": 0}]
)
async def test_a_clock_of_seconds_minutes_or_hours_is_not_before_its_serving(ad_system, resolution):
    served = datetime.now(UTC).replace(minute=42, second=42, microsecond=420_000) - 2 * HOUR
    token, at = ad_system.serve(at=served), served.replace(**resolution)
    answers = await ad_system.report(*(an_event(token, kind, at) for kind in ("impression", "click", "conversion")))
    assert [answer["reason"] for answer in answers] == [None] * 3


async def test_half_an_emoji_rejects_its_row_only(ad_system, database):
    token, half = ad_system.serve(), "\ud83d"
    rows = [
        an_event(token, event_id=f"e-{half}"), an_event(token, order_id=half), an_event(token) | {half: 1},
        an_event(token, kind=half), an_event(half), an_event(token),
    ]  # fmt: skip
    headers = ad_system.keys["events"] | {"Content-Type": "application/json"}
    body = json.dumps({"events": rows})  # escaped, as a sender of broken strings writes it
    answer = await ad_system.client.post("/events", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert [row["status"] for row in answer.json()["answers"]] == ["rejected"] * 5 + ["accepted"]
    assert (answer.json()["answers"][0]["event_id"], stored(database)) == ("e-?", 1)
    outside = await ad_system.client.post("/events", content=json.dumps({"events": rows, half: 1}), headers=headers)
    assert outside.status_code == 422


@pytest.mark.parametrize("offset", ["+0000", "+0900", "-0330", "Z", "+09:00"])
async def test_an_offset_is_read_with_and_without_its_colon(ad_system, offset):
    now = datetime.now(UTC)
    shift = {"+0900": 9, "+09:00": 9, "-0330": -3.5}.get(offset, 0)
    written = (now + shift * HOUR).strftime("%Y-%m-%dT%H:%M:%S") + offset
    (answer,) = await ad_system.report(an_event(ad_system.serve(at=now)) | {"occurred_at": written})
    assert answer["status"] == "accepted", answer["detail"]


async def test_a_gzip_body_is_taken_like_a_plain_one(ad_system, database):
    batch = json.dumps({"events": [an_event(ad_system.serve(f"用户-{i}")) for i in range(50)]}).encode()
    headers = ad_system.keys["events"] | {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = await ad_system.client.post("/events", content=gzip.compress(batch), headers=headers)
    assert (answer.status_code, stored(database)) == (200, 50)


@pytest.mark.parametrize(
    ("body", "encoding", "status", "rule"),
    [
        pytest.param(
            gzip.compress(b" " * (4 * 1024 * 1024 + 1)), "gzip", 413, "body_too_large", id="one byte too long"
        ),
        pytest.param(gzip.compress(bytes(10**8)), "gzip", 413, "body_too_large", id="a bomb"),
        pytest.param(gzip.compress(b'{"events": []}')[:-3], "gzip", 400, "unreadable_body", id="cut off"),
        pytest.param(
            gzip.compress(b'{"events": ') + gzip.compress(b"[]}"), "gzip", 400, "unreadable_body", id="two members"
        ),
        pytest.param(b'{"events": []}', "gzip", 400, "unreadable_body", id="plain"),
        pytest.param(zlib.compress(b'{"events": []}'), "gzip", 400, "unreadable_body", id="zlib"),
        pytest.param(gzip.compress(b'{"events": []}'), "gzip", 422, "invalid_request", id="no events"),
        pytest.param(b'{"events": []}', "br", 415, "unsupported_media_type", id="brotli"),
    ],
)
async def test_a_gzip_body_is_inflated_within_the_limits_of_a_plain_one(ad_system, body, encoding, status, rule):
    headers = ad_system.keys["events"] | {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = await ad_system.client.post("/events", content=body, headers=headers)
    assert (answer.status_code, answer.json()["rule"]) == (status, rule)


async def test_a_token_lives_for_a_day_to_be_shown_its_window_and_a_day_for_late_events(ad_system):
    phase = (await ad_system.experiment(window_hours=24))["phase"]
    served = [datetime.now(UTC) - age for age in (2.9 * DAY, 3.1 * DAY)]
    answers = await ad_system.report(*(an_event(ad_system.serve(phase=phase, at=at), at=at) for at in served))
    assert [answer["reason"] for answer in answers] == [None, "expired_token"]


async def test_a_token_of_another_installation_is_refused_by_name(ad_system):
    theirs = Served(b"s" * 16, b"u" * 16, b"t" * 16, 0, 0, 1, 1, int(datetime.now(UTC).timestamp() * 1000))
    forged, unknown = await ad_system.report(
        an_event(Sealer(((1, b"k" * 32),)).seal(theirs)), an_event(Sealer(((9, b"k" * 32),)).seal(theirs))
    )
    assert (forged["reason"], unknown["reason"]) == ("forged_token", "unknown_token_key")
    assert "no longer in use" in unknown["detail"]


async def test_a_body_that_is_no_batch_is_refused_whole(client, keys):
    bodies = [{}, {"events": []}, {"events": [1] * 1001}, {"events": "none"}, {"events": [{}], "more": 1}]
    answers = [await client.post("/events", json=body, headers=keys["events"]) for body in bodies]
    assert [(answer.status_code, answer.json()["errors"][0]["field"]) for answer in answers] == [
        (422, "events")
    ] * 4 + [(422, "more")]


async def test_batches_that_arrive_together_are_each_answered_for_their_own_rows(ad_system, database):
    shared = an_event(ad_system.serve())
    batches = [[shared, an_event(ad_system.serve(f"u-{i}"))] for i in range(12)]
    answers = await asyncio.gather(*(ad_system.report(*batch) for batch in batches))
    assert [answer["event_id"] for pair in answers for answer in pair] == [
        event["event_id"] for batch in batches for event in batch
    ]
    assert [pair[0]["status"] for pair in answers].count("accepted") == 1
    assert {pair[1]["status"] for pair in answers} == {"accepted"}
    assert stored(database) == 13


async def test_with_the_database_down_nothing_is_committed_and_the_caller_may_send_again(ad_system, database, postgres):
    batch = [an_event(ad_system.serve())]
    with closed_database(postgres, database.info.dbname):
        refused = await ad_system.client.post("/events", json={"events": batch}, headers=ad_system.keys["events"])
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert stored(database) == 0
    assert [answer["status"] for answer in await ad_system.report(*batch)] == ["accepted"]


async def test_events_need_a_key_with_their_scope(ad_system):
    answer = await ad_system.client.post("/events", json={"events": [an_event("x")]}, headers=ad_system.keys["report"])
    assert answer.status_code == 403
