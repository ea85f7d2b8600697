"""POST /events: every row judged by itself, answered after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from counting import DAY, an_event

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


INVALID = [  # what is wrong, the field that is named, the rule that is named
    ({"kind": "view"}, "kind", "impression"),
    ({"occurred_at": "2026-11-22T10:00:00"}, "occurred_at", "offset"),
    ({"occurred_at": 1763800000}, "occurred_at", "RFC 3339"),
    ({"event_id": "a b"}, "event_id", "match"),
    ({"event_id": ""}, "event_id", "match"),
    ({"value": -1}, "value", "greater"),
    ({"order_id": "a\x00b"}, "order_id", "control character"),
    ({"colour": "赤"}, "colour", "Extra"),
]


async def test_an_invalid_row_names_its_field_and_sinks_nothing(ad_system, database):
    rows = [{**an_event(ad_system.serve()), **over} for over, _, _ in INVALID]
    *answers, good = await ad_system.report(*rows, an_event(ad_system.serve()))
    assert [(answer["status"], answer["reason"], answer["field"]) for answer in answers] == [
        ("rejected", "invalid_event", field) for _, field, _ in INVALID
    ]
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
