"""Where a serving benchmark runs: the service and its neighbours, each in a process of its own, and the load
generator.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import psycopg

from abtest.events import Source
from app.core.settings import Settings
from app.up.child import Child
from app.up.model import answers
from app.up.stack import Stack, free_port
from benchmarks.load import Generator, write_requests
from benchmarks.workload import Workload

READY_S = 60.0
DRAIN_S = 60.0
# as `relate serve` runs its own
_UVICORN = "--loop uvloop --http httptools --ws none --no-access-log --log-level warning --backlog 4096"


@dataclass(frozen=True)
class Lab:
    """folder: data directories by name, kept as long as the folder is."""

    folder: Path
    generator: Generator
    workload: Workload

    @contextmanager
    def service(self, name: str, *, policy_url: str = "", **settings: Any) -> Iterator[Stack]:
        """The whole service over its own embedded PostgreSQL; without a policy_url with vLLM and the packaged model.

        The rate limit counts every call, and is set where it never refuses one. Access lines go nowhere, as the bare
        route's.
        """
        chosen: dict[str, Any] = {
            "rate_per_second": 1e6,
            "log_level": "warning",
            "database_url": "",
            "policy_url": policy_url,
        }
        if policy_url:  # a stand-in writes the same text for every brief: no judge would pass it
            chosen |= {"judge": "none", "unjudged": "serve"}
        chosen |= settings
        with Stack(Settings(data_dir=self.folder / name, port=0, **chosen)) as stack:
            # as a load balancer asks before it sends anyone
            httpx.get(f"{stack.url}/readyz", timeout=READY_S, trust_env=False)
            yield stack

    @contextmanager
    def bare(self) -> Iterator[int]:
        """The bare route's process, by its port."""
        with self._child(
            "bare", "uvicorn", "--factory", "benchmarks.bare:create_app", *_UVICORN.split(), path="/openapi.json"
        ) as port:
            yield port

    @contextmanager
    def upstream(self, delay: float) -> Iterator[str]:
        """A policy server that answers after `delay` seconds, by its URL."""
        with self._child("upstream", "benchmarks.upstream", "--delay", str(delay), path="/count") as port:
            yield f"http://127.0.0.1:{port}"

    @contextmanager
    def _child(self, name: str, module: str, *arguments: str, path: str) -> Iterator[int]:
        port = free_port("127.0.0.1", 0)
        command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
        url = f"http://127.0.0.1:{port}{path}"
        child = Child(name, command, self.folder / f"{name}.log", os.environ, ready=lambda: answers(url))
        child.start()
        try:
            child.wait_ready(READY_S)
            yield port
        finally:
            child.stop()

    def requests(self, name: str, requests: Iterable[bytes]) -> Path:
        return write_requests(self.folder / f"{name}.requests", requests)


def closed_port() -> str:
    """A URL where nobody listens: a policy server that refuses."""
    return f"http://127.0.0.1:{free_port('127.0.0.1', 0)}"


def asked(upstream: str) -> int:
    """How many completions the upstream was asked for."""
    return int(httpx.get(f"{upstream}/count", trust_env=False).json()["count"])


def scalar(stack: Stack, statement: str) -> Any:
    """One figure out of the service's database."""
    with psycopg.connect(stack.settings.database_url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None


def drained(stack: Stack, since: datetime, rows: int) -> tuple[int, float]:
    """Serving rows from the pool since then, and the seconds until there were `rows` of them: the log is written
    behind the answers.
    """
    began, pooled = (
        monotonic(),
        f"SELECT count(*) FROM servings WHERE source = {Source.POOL} AND at >= '{since.isoformat()}'",
    )
    while (found := int(scalar(stack, pooled))) < rows and monotonic() - began < DRAIN_S:
        sleep(0.1)
    return found, monotonic() - began
