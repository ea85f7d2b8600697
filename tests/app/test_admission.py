"""Which requests begin when more is asked than can be answered: a simulated event loop under a clock of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.http import admission
from app.http.admission import REFUSALS, Admission, refusal

ANSWER_S = 0.0005  # what one answer takes
REFUSAL_S = 0.00005


@dataclass
class Loop:
    """Time passes while requests are answered or refused, and while nothing is to be done."""

    now: float = 100.0
    ready: list[Callable[[], object]] = field(default_factory=list)

    def call_soon(self, callback: Callable[[], object]) -> None:
        self.ready.append(callback)

    def turn(self) -> None:
        ready, self.ready = self.ready, []
        for callback in ready:
            callback()


@dataclass
class Asked:
    loop: Loop
    body: bytes
    arrived: float
    gone: bool = False
    begun_after: float | None = None
    refused_after: float | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def begin(self, arrived: float) -> None:
        self.begun_after = self.loop.now - self.arrived
        self.loop.now += ANSWER_S

    def refuse(self, answer: bytes) -> None:
        self.refused_after = self.loop.now - self.arrived
        self.loop.now += REFUSAL_S


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr(admission, "perf_counter", lambda: loop.now)
    return loop


def body(deadline_ms: int | None) -> bytes:
    named = {} if deadline_ms is None else {"deadline_ms": deadline_ms}
    return json.dumps({"brief": {"query": '他说 "deadline_ms": 9'}, **named}, ensure_ascii=False).encode()


def offered(loop: Loop, rate: float, seconds: float, deadline_ms: int | None = 200) -> list[Asked]:
    """An open loop: each request enters when it is due, or when the event loop next looks."""
    queue, asked = Admission(loop, patience_s=1.0), []  # type: ignore[arg-type]
    began = loop.now
    while (at := began + len(asked) / rate) < began + seconds or loop.ready:
        while at <= loop.now and at < began + seconds:
            asked.append(Asked(loop, body(deadline_ms), at))
            queue.enter(asked[-1])
            at = began + len(asked) / rate
        if loop.ready:
            loop.turn()
        else:
            loop.now = at
    return asked


@pytest.mark.parametrize("factor", [0.5, 0.9])
def test_below_capacity_every_request_begins_at_once(loop, factor):
    asked = offered(loop, factor / ANSWER_S, 2.0)
    assert all(request.begun_after is not None and request.begun_after < 0.02 for request in asked)


@pytest.mark.parametrize("factor", [1.5, 3.0])
@pytest.mark.parametrize("deadline_ms", [100, 200, 1000])
def test_above_capacity_those_that_begin_are_in_time_and_the_rest_is_refused_at_once(loop, factor, deadline_ms):
    asked = offered(loop, factor / ANSWER_S, 4.0, deadline_ms)
    begun = [request.begun_after for request in asked if request.begun_after is not None]
    refused = [request.refused_after for request in asked if request.refused_after is not None]
    assert len(begun) + len(refused) == len(asked)
    assert max(begun) <= deadline_ms / 1000
    assert max(refused) <= 0.05
    cost = REFUSAL_S / ANSWER_S
    assert len(begun) * ANSWER_S / (loop.now - 100.0) >= 0.9 * (1 - factor * cost) / (1 - cost)


def test_a_crowd_with_time_to_wait_is_served_in_full(loop):
    queue = Admission(loop, patience_s=1.0)  # type: ignore[arg-type]
    asked = [Asked(loop, body(60_000), loop.now) for _ in range(1_000)]
    for request in asked:
        queue.enter(request)
    while loop.ready:
        loop.turn()
    assert all(request.begun_after is not None for request in asked)


def test_after_a_stall_what_has_waited_longer_than_its_deadline_is_refused(loop):
    queue = Admission(loop, patience_s=1.0)  # type: ignore[arg-type]
    asked = [Asked(loop, body(deadline), loop.now) for deadline in (200,) * 8 + (5_000,) * 2]
    for request in asked:
        queue.enter(request)
    loop.now += 0.5
    while loop.ready:
        loop.turn()
    assert [request.begun_after is not None for request in asked] == [True] * 4 + [False] * 4 + [True] * 2


def test_one_slow_turn_does_not_keep_the_next_requests_out(loop):
    queue = Admission(loop, patience_s=1.0)  # type: ignore[arg-type]
    slow = [Asked(loop, body(60_000), loop.now) for _ in range(12)]
    for request in slow:
        queue.enter(request)
    loop.now += 5.0
    while loop.ready:
        loop.turn()
    prompt = [Asked(loop, body(200), loop.now) for _ in range(4)]
    for request in prompt:
        queue.enter(request)
    assert all(request.begun_after == 0 for request in prompt[:1])
    assert all(request.refused_after is None for request in prompt)


def test_a_caller_that_has_left_is_not_answered(loop):
    queue = Admission(loop, patience_s=1.0)  # type: ignore[arg-type]
    asked = [Asked(loop, body(200), loop.now) for _ in range(6)]
    for request in asked:
        queue.enter(request)
    asked[5].gone = True
    while loop.ready:
        loop.turn()
    assert [request.begun_after is not None for request in asked] == [True] * 5 + [False]


def test_refusals_leave_time_for_answers(loop):
    """Far above capacity not even refusing is free: some callers then wait for their refusal, and send nothing."""
    asked = offered(loop, 40 / ANSWER_S, 0.5)
    begun = sum(request.begun_after is not None for request in asked)
    turns = begun / admission.AT_ONCE
    assert begun * ANSWER_S >= 0.5 * turns * (admission.AT_ONCE * ANSWER_S + REFUSALS * REFUSAL_S)


@pytest.mark.parametrize(
    ("named", "said"), [(b"req-7", b"req-7"), (b"", None), (b"two words", None), (b"x" * 65, None)]
)
def test_a_refusal_is_a_problem_document_with_the_request_id(named, said):
    head, _, content = refusal([(b"x-request-id", named)]).partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers: dict[bytes, Any] = dict(line.split(b": ", 1) for line in lines)
    assert status == b"HTTP/1.1 503 Service Unavailable"
    assert (headers[b"retry-after"], headers[b"content-type"]) == (b"1", b"application/problem+json")
    assert headers[b"x-request-id"] == said if said else len(headers[b"x-request-id"]) == 24
    assert int(headers[b"content-length"]) == len(content)
    assert {key: json.loads(content)[key] for key in ("status", "rule", "title")} == {
        "status": 503,
        "rule": "overload",
        "title": "overload",
    }
