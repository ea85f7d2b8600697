"""Logs as JSON lines on stderr. They never hold the content of a request.

No query, landing page, key, token or unit id may reach a log. Two rules ensure this: an access line holds the template
of the route, not the path, and never the address of an ad's viewer; a traceback holds types and positions, because the
message of an exception may quote the request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted
from time import time
from typing import Any, TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_FLUSH_S = 0.2


def utc(seconds: float) -> str:
    """Unix time as every log writes it: 2026-11-22T10:00:00.123Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time, level, logger, message, the fields of `extra`, and the traceback without
    messages.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = list(_places(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False, default=str)


def _places(error: BaseException) -> Iterator[str]:
    """Outermost cause first: each exception's type, then `file:line function` of its frames."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _places(cause)
    yield f"{type(error).__module__}.{type(error).__qualname__}"
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} {frame.name}"


class AccessLog:
    """The access log: one line per request, written in batches, because a logging record costs more than the rest of
    the middleware.
    """

    def __init__(self) -> None:
        self._stream: TextIO | None = None
        self._lines: list[str] = []
        self._second = (0.0, "")

    def open(self, stream: TextIO | None) -> None:
        """The stream of the lines; None disables the log."""
        self.flush()
        self._stream = stream

    def add(self, method: str, route: str, status: int, seconds: float, request_id: str, client: str, key: str) -> None:
        """`client`: the caller's address, empty where it is an ad viewer's; `key`: the prefix of its API key."""
        if self._stream is None:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_S, self.flush)
        self._lines.append(
            f'{{"at":"{self._time()}","level":"info","logger":"app.access","method":{quoted(method)},"route":{quoted(route)},'
            f'"status":{status},"ms":{seconds * 1000:.2f},"request_id":{quoted(request_id)},'
            f'"client":{quoted(client)},"key":{quoted(key)}}}\n'
        )

    def _time(self) -> str:
        """As `utc`, whose conversion is made once a second."""
        second, fraction = divmod(time(), 1)
        if second != self._second[0]:
            self._second = second, utc(second)[:-4]
        return f"{self._second[1]}{int(fraction * 1000):03d}Z"

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        if lines and self._stream is not None:
            self._stream.write("".join(lines))
            self._stream.flush()


access = AccessLog()


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send every logger of this process to stderr as JSON lines. It is called once, at the start of the process."""
    chosen = stream or sys.stderr
    handler = logging.StreamHandler(chosen)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # httpx and uvicorn write whole addresses, queries included
    for chatty in ("httpx", "httpcore", "alembic", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    access.open(chosen if level in ("debug", "info") else None)
