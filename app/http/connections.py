"""Connections: how many may be open, and how long a caller may take to send a request.

Extends uvicorn's protocol with limits on headers, bodies and unread sockets, and with a queue before the application. A
request of usual size begins only when its body has arrived: a body that never arrives occupies a socket, not one of the
concurrent requests.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any, ClassVar

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.core.metrics import CONNECTIONS, REFUSED
from app.core.settings import Settings
from app.http.admission import Admission
from app.http.middleware import ALWAYS_ANSWERED

MAX_HEAD = 64 * 1024  # bytes of a request line and its headers
# bytes of a body that are read before the caller is known: a request of this size begins when all of it has arrived
HELD_BODY = 16 * 1024
SWEEP_S = 1.0  # how often connections are checked: a timeout may be late by this much
_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Phase(Enum):
    """The party that a connection waits for."""

    REQUEST = auto()  # its first or next request
    HEAD = auto()  # the rest of the headers
    BODY = auto()  # the rest of the body
    ANSWER = auto()  # the service


class Crowd:
    """The connections of one process that wait for their caller, the longest wait first. All of them are checked every
    second.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: Settings) -> None:
        self._loop, self._settings = loop, settings
        self._idle: dict[Connection, None] = {}
        self._open: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        CONNECTIONS.set_function(lambda: len(self._open))

    def opened(self, connection: Connection) -> None:
        self._open.add(connection)
        self._idle[connection] = None
        if len(self._open) > self._settings.max_connections:
            # the connection that has waited longest is closed, or the new one where all others are being answered
            next(iter(self._idle)).drop("connections")
        if self._sweep is None:
            self._sweep = self._loop.call_later(SWEEP_S, self._look)

    def closed(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def busy(self, connection: Connection) -> None:
        self._idle.pop(connection, None)

    def idle(self, connection: Connection) -> None:
        self._idle.pop(connection, None)  # to the end
        self._idle[connection] = None

    def _look(self) -> None:
        now = self._loop.time()
        for connection in list(self._open):
            connection.look(now)
        self._sweep = self._loop.call_later(SWEEP_S, self._look) if self._open else None


class Connection(HttpToolsProtocol):
    """One connection of a caller. `settings` is set by `protocol`."""

    settings: ClassVar[Settings]
    admission: ClassVar[Admission | None] = None
    crowd: ClassVar[Crowd | None] = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        kind = type(self)
        if kind.crowd is None or kind.admission is None:
            kind.crowd = Crowd(self.loop, self.settings)
            kind.admission = Admission(self.loop, self.settings.patience_ms / 1000)
        self._crowd, self._admission = kind.crowd, kind.admission
        self._phase, self._since = Phase.REQUEST, self.loop.time()
        self._head = 0  # bytes of the headers so far
        self._held: Arrived | None = None  # a request whose body has not arrived
        self._unread_since: float | None = None  # the caller does not read its answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._crowd.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._phase is Phase.REQUEST:
            self._enter(Phase.HEAD)
        super().data_received(data)
        if self._phase is Phase.HEAD:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.drop("headers", _TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0

    def on_headers_complete(self) -> None:
        self._enter(Phase.BODY)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._enter(Phase.REQUEST if self.cycle.response_complete else Phase.ANSWER)
        super().on_message_complete()
        if self._held is not None:
            held, self._held = self._held, None
            self._admit(held)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.cycle.response_complete:
            return
        if self._phase is Phase.ANSWER:
            self._enter(Phase.REQUEST)
        # also where the answer came before the body: the connection waits for its caller, and is closed before others
        self._crowd.idle(self)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread_since = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        request, length = Arrived(self, cycle, app), _length(self.headers)
        if cycle.scope["path"] in ALWAYS_ANSWERED:
            request.begin(None)
        elif cycle.more_body and length <= HELD_BODY and not cycle.waiting_for_100_continue:
            self._held = request
        else:
            self._admit(request)

    def _admit(self, request: Arrived) -> None:
        self._crowd.busy(self)
        self._admission.enter(request)

    def begin(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, app)

    def refuse(self, cycle: RequestResponseCycle, answer: bytes) -> None:
        """Answer in place of the application."""
        if self.transport.is_closing():
            return
        cycle.response_started = cycle.response_complete = True
        self.transport.write(answer)
        if cycle.keep_alive:
            self.on_response_complete()
        else:
            self.transport.close()

    def look(self, now: float) -> None:
        """Close the connection if its caller has exceeded a timeout."""
        settings, waited = self.settings, now - self._since
        if self._unread_since is not None and now - self._unread_since > settings.answer_timeout_s:
            self.transport.abort()
        elif self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            return  # the service's turn
        elif (self._phase is Phase.HEAD and waited > settings.headers_timeout_s) or (
            self._phase is Phase.BODY and waited > settings.body_timeout_s
        ):
            self.drop("timeout", _TIMEOUT)
        elif self._phase is Phase.REQUEST and waited > settings.keep_alive_s:
            self.transport.close()

    def drop(self, why: str, answer: bytes = b"") -> None:
        REFUSED.labels(why).inc()
        if answer and (self.cycle is None or self.cycle.response_complete or not self.cycle.response_started):
            self.transport.write(answer)
        self.transport.close()

    def _enter(self, phase: Phase) -> None:
        self._phase, self._since = phase, self.loop.time()


class Arrived:
    """A request that waits to begin. Implements `app.http.admission.Request`."""

    __slots__ = ("_app", "_connection", "_cycle")

    def __init__(self, connection: Connection, cycle: RequestResponseCycle, app: Any) -> None:
        self._connection, self._cycle, self._app = connection, cycle, app

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return list(self._cycle.scope["headers"])

    @property
    def body(self) -> bytearray:
        return self._cycle.body

    @property
    def gone(self) -> bool:
        return self._cycle.disconnected

    def begin(self, arrived: float | None) -> None:
        if arrived is not None:
            self._cycle.scope["arrived"] = arrived  # type: ignore[typeddict-unknown-key]
        self._connection.begin(self._cycle, self._app)

    def refuse(self, answer: bytes) -> None:
        self._connection.refuse(self._cycle, answer)


def _length(headers: list[tuple[bytes, bytes]]) -> int:
    """The declared length of the body. Where it is not declared: more than is buffered."""
    length = 0
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"transfer-encoding":
            return HELD_BODY + 1
    return length


def protocol(settings: Settings) -> type[Connection]:
    """The protocol class for one server."""
    return type("Connection", (Connection,), {"settings": settings})
