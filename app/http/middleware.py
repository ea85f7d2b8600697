"""The outermost middleware: request ids, limits on body size and on concurrent requests, response headers, metrics,
the access log, and uncaught exceptions.

A plain ASGI application. Each request costs one scan of the headers, one closure over `send`, one histogram and one
log line.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from time import perf_counter
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.logs import access
from app.core.metrics import INFLIGHT, REFUSED, REQUESTS
from app.core.problems import problem_response
from app.core.settings import Settings
from app.store.database import Unavailable

log = logging.getLogger(__name__)

STRANGER_BODY = 4096  # bytes that a caller without a key may send: the sign-in form
REQUEST_ID = re.compile(rb"[!-~]{1,64}")
ALWAYS_ANSWERED = frozenset({"/healthz", "/readyz", "/metrics"})  # an overloaded service must still report it
_CLOSED = 499  # the caller disconnected before the response began; used in metrics and logs only
_STRANGER = "a body of this size needs a valid API key: send `Authorization: Bearer rk_…`"
_NO_STORE = (b"cache-control", b"no-store")
_REVALIDATE = (b"cache-control", b"no-cache")
_PAGE_HEADERS = (
    # 'unsafe-inline' for styles only: Plotly writes style attributes. Scripts come from this server's files alone.
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        b"font-src 'self'; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
)
_NOSNIFF = (b"x-content-type-options", b"nosniff")


Headers = list[tuple[bytes, bytes]]


class Edge:
    """Wraps the application. `add_middleware` places it outside the exception handlers, so it sees what none of them
    caught.

    recognises: whether these headers name a live key or session. A stranger's body is read only up to the size of a
    form. Known callers and strangers are counted apart, so that no number of strangers takes a known caller's place.
    """

    def __init__(self, app: ASGIApp, settings: Settings, recognises: Callable[[Headers], bool]) -> None:
        self._app, self._settings, self._recognises = app, settings, recognises
        self._observers: dict[tuple[str, int], Callable[[float], None]] = {}
        self._inflight = {True: 0, False: 0}  # by whether the caller is known
        INFLIGHT.set_function(lambda: sum(self._inflight.values()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = scope.setdefault("arrived", perf_counter())  # deadlines and latencies count from here
        path: str = scope["path"]
        request_id, length, chunked = _read_headers(scope["headers"])
        scope["request_id"] = request_id
        known = self._recognises(scope["headers"])
        status = _CLOSED

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_headers(message.get("headers", ()), request_id, path)
            await send(message)

        self._inflight[known] += 1
        try:
            limit = self._settings.max_events_body_bytes if path == "/events" else self._settings.max_body_bytes
            refusal = self._refusal(path, length, limit, known=known, chunked=chunked)
            if refusal is not None:
                await _refuse(*refusal, scope, receive, answer)
            else:
                await self._app(scope, _bounded(receive, limit) if chunked else receive, answer)
        except Exception as error:
            await _failed(error, scope, receive, answer, begun=status != _CLOSED)
        finally:
            self._inflight[known] -= 1
            self._record(scope, status, perf_counter() - began)

    def _refusal(
        self, path: str, length: int | None, limit: int, *, known: bool, chunked: bool
    ) -> tuple[int, str, str] | None:
        """Status, rule and detail of a request that is refused before it is read; None where it may be answered."""
        if self._inflight[known] > self._settings.max_inflight and path not in ALWAYS_ANSWERED:
            return 503, "overload", "too many requests at once: try again in a second"
        if length is None:
            return 400, "content_length", "Content-Length is not a number: send the body's length in bytes"
        if length > limit:
            return 413, "body_too_large", f"the body has {length} bytes and {limit} are allowed: send less at once"
        if not known and (chunked or length > STRANGER_BODY):
            return 401, "unauthenticated", _STRANGER
        return None

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        """Count the request in the metrics and write its line of the access log."""
        route = getattr(scope.get("route"), "path", "unmatched")
        observe = self._observers.get((route, status))
        if observe is None:
            observe = self._observers[route, status] = REQUESTS.labels(route, status).observe
        observe(seconds)
        # a pixel's caller is a person who sees an ad
        client = "" if route == "/pixel/{kind}" else (scope.get("client") or ("",))[0]
        access.add(scope["method"], route, status, seconds, scope["request_id"], client, scope.get("key_prefix", ""))


def _read_headers(headers: Headers) -> tuple[str, int | None, bool]:
    """The request id (the caller's where it is valid, else a new one), the declared length (None where it is not a
    number), and whether the body is chunked.
    """
    request_id, length, chunked = b"", b"0", False
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name == b"x-request-id":
            request_id = value
        elif name == b"transfer-encoding":
            chunked = True
    given = request_id.decode("ascii") if request_id and REQUEST_ID.fullmatch(request_id) else os.urandom(12).hex()
    return given, int(length) if length.isdigit() else None, chunked


def _with_headers(headers: Any, request_id: str, path: str) -> list[tuple[bytes, bytes]]:
    """The response headers with the request id, the security headers of a page, and Cache-Control where none is set."""
    complete = [*headers, (b"x-request-id", request_id.encode("ascii")), _NOSNIFF]
    cached = page = False
    for name, value in headers:
        if name == b"cache-control":
            cached = True
        elif name == b"content-type":
            page = value.startswith(b"text/html")
    if not cached:
        complete.append(_REVALIDATE if path.startswith("/static/") else _NO_STORE)
    if page:
        complete.extend(_PAGE_HEADERS)
    return complete


def _bounded(receive: Receive, limit: int) -> Receive:
    """`receive` for a body of undeclared length: reading past the limit raises HTTPException with status 413."""
    read = 0

    async def counting() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, f"the body has more than the {limit} bytes that are allowed: send less at once")
        return message

    return counting


async def _refuse(status: int, rule: str, detail: str, scope: Scope, receive: Receive, answer: Send) -> None:
    REFUSED.labels(rule).inc()
    await _problem(status, rule, detail, scope)(scope, receive, answer)


async def _failed(error: Exception, scope: Scope, receive: Receive, answer: Send, *, begun: bool) -> None:
    """Answer an exception that no handler caught: 503 when the database is unavailable, else 500. A response that has
    begun is broken off.
    """
    if isinstance(error, Unavailable):
        log.warning("database unreachable", extra={"request_id": scope["request_id"], "error": type(error).__name__})
        response = _problem(
            503,
            "database_unavailable",
            "the database is unreachable: nothing was changed, try again in a second",
            scope,
        )
    else:
        log.error("unhandled exception", exc_info=error, extra={"request_id": scope["request_id"]})
        response = _problem(500, "internal_error", "the service failed: report this with the request id", scope)
    if begun:
        raise error
    await response(scope, receive, answer)


def _problem(status: int, rule: str, detail: str, scope: Scope) -> Response:
    headers = {503: {"Retry-After": "1"}, 401: {"WWW-Authenticate": 'Bearer realm="relate"'}}.get(status, {})
    return problem_response(status, rule, detail, request_id=scope["request_id"], headers=headers)
