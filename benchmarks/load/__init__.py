"""A native HTTP load generator in a process of its own: closed loops for throughput, open loops for latency.

`load.c` beside this file does the work; here it is compiled, fed with raw requests, run, and its figures read.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("load.c")
MOST_S = 900.0  # no run takes longer, whatever the server does


class LoadError(RuntimeError):
    """The generator could not be built or could not run: what it said."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float


@dataclass(frozen=True, slots=True)
class Load:
    """What one run saw. scheduled - answered - errors went without an answer until the run gave up."""

    scheduled: int
    sent: int
    answered: int
    errors: int  # lost or refused connections, answers that are no HTTP/1.1 with a Content-Length
    with_text: int  # answers 200 of /generate that hold a text
    without_text: int  # answers 200 of /generate that hold none
    in_time: int
    in_time_with_text: int
    in_time_fresh: int  # with a text that the model wrote for this request
    elapsed_s: float  # start to the last answer
    per_second: float  # answered / elapsed_s
    statuses: Mapping[str, int]
    latency_ms: Percentiles  # closed loop: from sending; open loop: from when the request was due; without refusals
    refusal_ms: Percentiles  # the same for answers 503
    lag_ms: Percentiles  # sent - due: what the generator itself was late, or had no free connection

    @property
    def in_time_share(self) -> float:
        """Of all scheduled requests: one that got no answer was not in time."""
        return self.in_time / self.scheduled

    @property
    def text_share(self) -> float:
        """Of the answers in time."""
        return self.in_time_with_text / self.in_time if self.in_time else 0.0


@dataclass(frozen=True, slots=True)
class Generator:
    """A compiled generator, by its path."""

    program: Path

    def closed(
        self,
        requests: Path,
        *,
        port: int,
        connections: int,
        seconds: float = 5.0,
        count: int = 0,
        limit_ms: float = 100.0,
        drain_s: float = 10.0,
    ) -> Load:
        """Each connection sends its next request when the last is answered: for `seconds`, or, when given, `count`
        requests in all.
        """
        bounds = ("--count", str(count)) if count else ("--seconds", str(seconds))
        return self._run(requests, port, connections, limit_ms, drain_s, *bounds)

    def opened(
        self,
        requests: Path,
        *,
        port: int,
        connections: int,
        rate: float,
        seconds: float,
        limit_ms: float,
        drain_s: float = 10.0,
    ) -> Load:
        """`rate` requests a second on a fixed schedule, whatever the server does. Latency counts from when a request
        was due.
        """
        return self._run(requests, port, connections, limit_ms, drain_s, "--rate", str(rate), "--seconds", str(seconds))

    def _run(self, requests: Path, port: int, connections: int, limit_ms: float, drain_s: float, *bounds: str) -> Load:
        common = (
            "--port",
            str(port),
            "--connections",
            str(connections),
            "--limit-ms",
            str(limit_ms),
            "--drain",
            str(drain_s),
        )
        ended = subprocess.run(
            [self.program, *common, "--most", str(MOST_S), *bounds, requests],
            capture_output=True,
            text=True,
            timeout=MOST_S + 60,
        )
        if ended.returncode != 0:
            raise LoadError(ended.stderr.strip() or f"the load generator ended with status {ended.returncode}")
        figures = json.loads(ended.stdout)
        return Load(**figures | {name: Percentiles(**figures[name]) for name in ("latency_ms", "refusal_ms", "lag_ms")})


def build(folder: Path) -> Generator:
    """Compile the generator into `folder` with the system's C compiler, named by CC or `cc`."""
    program, compiler = folder / "load", os.environ.get("CC", "cc")
    try:
        made = subprocess.run(
            [compiler, "-O2", "-Wall", "-Wextra", "-o", program, SOURCE], capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise LoadError(f"there is no C compiler {compiler!r}: install gcc or clang, or name one in CC") from error
    if made.returncode != 0:
        raise LoadError(f"{compiler} refused {SOURCE.name}: {made.stderr.strip()}")
    return Generator(program)


def write_requests(path: Path, requests: Iterable[bytes]) -> Path:
    """The generator's input file: each raw request behind its length, 32 bits little-endian."""
    with path.open("wb") as out:
        for request in requests:
            out.write(struct.pack("<I", len(request)) + request)
    return path


def post(path: str, body: bytes, *, key: str = "") -> bytes:
    """A raw keep-alive HTTP/1.1 POST of a JSON body; `key` is sent as a bearer token."""
    bearer = f"Authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
