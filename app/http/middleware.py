"""The edge of the service: request ids, limits on bodies and on requests at once, headers, metrics, the access log,
and what nobody caught.

One plain ASGI function. Per request it costs a scan of the headers, one closure over `send`, one histogram and one log
line.
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

STRANGER_BODY = 4096  # bytes: what a caller may send before it is known, the sign-in form
REQUEST_ID = re.compile(rb"[!-~]{1,64}")
ALWAYS_ANSWERED = frozenset({"/healthz", "/readyz", "/metrics"})  # an overloaded service must still be able to say so
_CLOSED = 499  # the caller went away before the answer began: for metrics and logs only
_STRANGER = "this needs a live API key before a body of this size is read: send `Authorization: Bearer rk_…`"
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


def edge(app: ASGIApp, settings: Settings, recognises: Callable[[Headers], bool]) -> ASGIApp:
    """Wrap the application. Added with `add_middleware`, so it stands outside the exception handlers and sees what
    none of them caught.

    recognises: whether these headers name a live key or session. A stranger's body is read up to a form's size only,
    and strangers are counted apart: however many there are, callers with a key find their places free.
    """
    observers: dict[tuple[str, int], Callable[[float], None]] = {}
    inflight = {True: 0, False: 0}  # by whether the caller is known

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        began = scope.setdefault("arrived", perf_counter())  # deadlines and latencies count from here
        path: str = scope["path"]
        limit = settings.max_events_body_bytes if path == "/events" else settings.max_body_bytes
        request_id, length, chunked = _read_headers(scope["headers"])
        scope["request_id"] = request_id
        known = recognises(scope["headers"])
        status = _CLOSED

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _dressed(message.get("headers", ()), request_id, path)
            await send(message)

        inflight[known] += 1
        try:
            if inflight[known] > settings.max_inflight and path not in ALWAYS_ANSWERED:
                await _refuse(
                    503, "overload", "too many requests at once: try again in a second", scope, receive, answer
                )
            elif length is None or length > limit:
                await _refuse(*_bad_length(length, limit), scope, receive, answer)
            elif not known and (chunked or length > STRANGER_BODY):
                await _refuse(401, "unauthenticated", _STRANGER, scope, receive, answer)
            else:
                await app(scope, _bounded(receive, limit) if chunked else receive, answer)
        except Exception as error:
            await _failed(error, scope, receive, answer, begun=status != _CLOSED)
        finally:
            inflight[known] -= 1
            seconds = perf_counter() - began
            route = getattr(scope.get("route"), "path", "unmatched")
            observe = observers.get((route, status))
            if observe is None:
                observe = observers[route, status] = REQUESTS.labels(route, status).observe
            observe(seconds)
            # a pixel's caller is a person who sees an ad
            client = "" if route == "/pixel/{kind}" else (scope.get("client") or ("",))[0]
            access.add(scope["method"], route, status, seconds, request_id, client, scope.get("key_prefix", ""))

    INFLIGHT.set_function(lambda: sum(inflight.values()))
    return serve


def _read_headers(headers: Headers) -> tuple[str, int | None, bool]:
    """The request id (the caller's if it is one, else a new one), the declared length (None: no number), whether the
    body is chunked.
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


def _dressed(headers: Any, request_id: str, path: str) -> list[tuple[bytes, bytes]]:
    """The answer's headers with the request id, and with what its kind needs: pages their policy, everything else no
    store.
    """
    dressed = [*headers, (b"x-request-id", request_id.encode("ascii")), _NOSNIFF]
    cached = page = False
    for name, value in headers:
        if name == b"cache-control":
            cached = True
        elif name == b"content-type":
            page = value.startswith(b"text/html")
    if not cached:
        dressed.append(_REVALIDATE if path.startswith("/static/") else _NO_STORE)
    if page:
        dressed.extend(_PAGE_HEADERS)
    return dressed


def _bad_length(length: int | None, limit: int) -> tuple[int, str, str]:
    if length is None:
        return 400, "content_length", "Content-Length is not a number: send the body's length in bytes"
    return 413, "body_too_large", f"the body has {length} bytes and {limit} are allowed: send less at once"


def _bounded(receive: Receive, limit: int) -> Receive:
    """`receive` for a body of undeclared length: past the limit it raises, and whoever reads the body passes that
    on.
    """
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
    """What no handler caught: the database away is 503, anything else is ours, 500. An answer that has begun can only
    be cut short.
    """
    if isinstance(error, Unavailable):
        log.warning("database not reachable", extra={"request_id": scope["request_id"], "error": type(error).__name__})
        response = _problem(
            503,
            "database_unavailable",
            "the database is not reachable: nothing was changed, try again in a second",
            scope,
        )
    else:
        log.error("unhandled exception", exc_info=error, extra={"request_id": scope["request_id"]})
        response = _problem(
            500, "internal_error", "this is a fault of the service: report it with the request id", scope
        )
    if begun:
        raise error
    await response(scope, receive, answer)


def _problem(status: int, rule: str, detail: str, scope: Scope) -> Response:
    headers = {503: {"Retry-After": "1"}, 401: {"WWW-Authenticate": 'Bearer realm="relate"'}}.get(status, {})
    return problem_response(status, rule, detail, request_id=scope["request_id"], headers=headers)
