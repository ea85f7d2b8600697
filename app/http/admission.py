"""Admission control: under overload the newest requests are refused at once, and the requests that begin are answered
in time.

Requests wait here until the event loop has capacity. A request whose turn would come after half of its deadline is
refused before it is parsed: a refusal costs a fraction of an answer, and a late answer costs a whole one. Refusals are
limited too, to a few per request that begins. A caller that waits for a refusal sends nothing more on its connection,
so that a load balancer in front runs out of connections and refuses requests itself.
"""

from __future__ import annotations

import os
import re
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Mapping
from time import perf_counter
from typing import Protocol

from app.core.metrics import REFUSED, WAITING
from app.core.problems import MEDIA_TYPE, ProblemDocument
from app.http.middleware import REQUEST_ID

AT_ONCE = 4  # requests that begin in one turn of the event loop: about two milliseconds of pool hits
REFUSALS = 4 * AT_ONCE  # answered in one turn: enough for five times the capacity
WORTH = 0.5  # share of its deadline that a request may wait: the rest is for its answer
_SMOOTHING = 0.2  # weight of the last turn in the estimate of how often a request begins
_DEADLINE = re.compile(rb'"deadline_ms"\s*:\s*(\d{1,5})\b')
_NAME = b'"deadline_ms"'
_OVERLOAD = REFUSED.labels("overload")


class Request(Protocol):
    """A request that has arrived, completely or as much of it as is read before its caller is known."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]: ...

    @property
    def body(self) -> bytes | bytearray: ...

    @property
    def gone(self) -> bool:
        """Its connection is closed."""
        ...

    def begin(self, arrived: float) -> None: ...

    def refuse(self, answer: bytes) -> None: ...


class Admission:
    """The queue of one process. `patience_s`: how long a request without a deadline waits."""

    def __init__(self, loop: AbstractEventLoop, patience_s: float) -> None:
        self._loop, self._patience = loop, patience_s
        self._waiting: deque[tuple[float, Request]] = deque()
        self._refused: deque[Request] = deque()
        self._begun = 0  # in this turn
        self._interval = 0.0  # seconds between the starts of two requests while others wait
        self._turned_at = 0.0
        self._turning = False
        WAITING.set_function(lambda: len(self._waiting))

    def enter(self, request: Request) -> None:
        """Begin the request now if none waits, else in its turn; refuse it where its turn would come too late."""
        now = perf_counter()
        if self._begun < AT_ONCE and not self._waiting:
            self._begun += 1
            request.begin(now)
        elif len(self._waiting) * self._interval > self._wait_for(request):
            self._refused.append(request)
        else:
            self._waiting.append((now, request))
        if not self._turning:
            self._turning, self._turned_at = True, now
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        now = perf_counter()
        if self._begun and self._waiting:
            self._interval += _SMOOTHING * ((now - self._turned_at) / self._begun - self._interval)
        self._turned_at, self._begun = now, 0
        while self._waiting and self._begun < AT_ONCE:
            arrived, request = self._waiting.popleft()
            if request.gone:
                continue
            if now - arrived > self._wait_for(request) / WORTH:
                self._refused.append(request)
                continue
            self._begun += 1
            request.begin(arrived)
        for _ in range(min(len(self._refused), REFUSALS)):
            refused = self._refused.popleft()
            _OVERLOAD.inc()
            refused.refuse(refusal(refused.headers))
        self._turning = bool(self._begun or self._refused)
        if self._turning:
            self._loop.call_soon(self._turn)

    def _wait_for(self, request: Request) -> float:
        """Seconds that this request may wait."""
        at = request.body.rfind(_NAME)
        named = _DEADLINE.match(request.body, at) if at >= 0 else None
        return int(named[1]) / 1000 * WORTH if named else self._patience


def _head(fields: Mapping[str, str], length: int) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 503 Service Unavailable\r\n{lines}content-length: {length}\r\n".encode("ascii")


_BODY = (
    ProblemDocument(
        title="overload",
        status=503,
        detail="the service is overloaded and cannot answer in time: try again in a second",
        rule="overload",
    )
    .model_dump_json(exclude={"request_id"})
    .encode()
)
_HEAD = _head(
    {
        "content-type": MEDIA_TYPE,
        "retry-after": "1",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    },
    len(_BODY),
)


def refusal(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The response to a refused request. All but the request id is prepared in advance."""
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    request_id = given if REQUEST_ID.fullmatch(given) else os.urandom(12).hex().encode()
    return b"%bx-request-id: %b\r\n\r\n%b" % (_HEAD, request_id, _BODY)
