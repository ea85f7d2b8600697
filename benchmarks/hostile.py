"""What strangers, hostile texts and a hostile policy server cost those who call at the same time.

    python -m benchmarks.hostile           # about three minutes
    python -m benchmarks.hostile --quick   # a glance; writes nothing unless --out is given

texts        /check of texts and /generate with landing pages that are made to be slow, deep JSON, large bodies without
             a key
connections  idle sockets, headers that never end, bodies that never come, while callers with a key ask /generate
upstream     a policy server that sends a compressed bomb, an endless body, 20,000 choices, one byte at a time

Beside each attack /healthz is asked every five milliseconds: its longest answer is the stall, to be compared with that
of the quiet service on the same busy machine. Memory is that of the API process.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import monotonic, perf_counter, sleep
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.up.child import Child
from app.up.model import answers
from app.up.stack import Stack, free_port
from benchmarks.hostile_upstream import HOSTILE
from benchmarks.lab import READY_S, Lab, closed_port
from benchmarks.load import build
from benchmarks.record import destination, record
from benchmarks.serving import PACKAGES
from benchmarks.serving_goals import Goal
from benchmarks.workload import Workload

Figures = dict[str, Any]
PROBE_S = 0.005
MIB = 1024 * 1024
STALL_MS = 50
GROWTH_MIB = 150
TEXTS = {
    "exclamation marks": "! " * 400,
    "a promise repeated": "cures acne. " * 66,
    "a Chinese promise repeated": "治愈痤疮。" * 160,
    "Japanese superlatives": "最高の靴" * 200,
    "percentages": "10% off " * 100,
    "digits": "9" * 800,
}
PAGES = {name: (text * 50)[:20_000] for name, text in TEXTS.items()}


@dataclass(frozen=True)
class Plan:
    """How much is run."""

    times: int = 3  # each attack
    sockets: int = 4_200
    seconds: float = 6.0  # duration of one attack by connections or by the policy server
    quiet_s: float = 5.0


QUICK = Plan(times=1, sockets=500, seconds=2.0, quiet_s=2.0)


@dataclass
class Probe:
    """Asks /healthz over one connection, and looks at the process's memory."""

    stack: Stack
    slowest_ms: float = 0.0
    before_mib: float = 0.0
    peak_mib: float = 0.0
    _stop: Event = field(default_factory=Event)

    def __enter__(self) -> Probe:
        self._process = psutil.Process(self.stack.api.pid if self.stack.api else None)
        self.before_mib = self.peak_mib = self._process.memory_info().rss / MIB
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        request = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.stack.settings.port), timeout=60) as probe:
            while not self._stop.is_set():
                began = perf_counter()
                probe.sendall(request)
                if not probe.recv(65_536).startswith(b"HTTP/1.1 200"):
                    raise SystemExit("/healthz did not answer 200")
                self.slowest_ms = max(self.slowest_ms, (perf_counter() - began) * 1000)
                self.peak_mib = max(self.peak_mib, self._process.memory_info().rss / MIB)
                sleep(PROBE_S)

    @property
    def figures(self) -> Figures:
        return {"stall_ms": self.slowest_ms, "grown_mib": self.peak_mib - self.before_mib}


class Attacks:
    """Runs attacks on one service and keeps what each did."""

    def __init__(self, stack: Stack, plan: Plan, say: Callable[[str], None]) -> None:
        self._stack, self._plan, self._say = stack, plan, say
        self.figures: Figures = {}
        self.http = httpx.Client(
            base_url=stack.url,
            headers={"Authorization": f"Bearer {stack.keys['generate']}", "Content-Type": "application/json"},
            timeout=120,
            trust_env=False,
        )

    def run(self, name: str, attack: Callable[[], Figures | None]) -> None:
        runs = []
        for number in range(self._plan.times):
            self._say(f"{name}, {number + 1} of {self._plan.times}")
            with Probe(self._stack) as probe:
                said = attack() or {}
            runs.append({**probe.figures, **said})
        self.figures[name] = {figure: median(run[figure] for run in runs) for figure in runs[0]} | {"runs": runs}


def texts(lab: Lab, plan: Plan, say: Callable[[str], None]) -> Figures:
    with lab.service("texts", policy_url=closed_port()) as stack:
        attacks = Attacks(stack, plan, say)
        attacks.run("quiet", lambda: sleep(plan.quiet_s))
        for name, text in TEXTS.items():
            ad = {"title": text[:400], "description": text, "description_2": text}
            body = {"brief": lab.workload.brief(1), "platform": "generic", "texts": [ad] * 20}
            attacks.run(f"/check: {name}", lambda body=body: _sent(attacks.http, "/check", body))
        for number, (name, page) in enumerate(PAGES.items()):
            bodies = iter(_with_page(lab.workload.brief(number * 100 + turn), page) for turn in range(plan.times))
            attacks.run(f"landing page: {name}", lambda bodies=bodies: _sent(attacks.http, "/generate", next(bodies)))
        attacks.run("deep JSON", lambda: _raw(stack, b'{"brief":' + b"[" * 200_000, key=stack.keys["generate"]))
        attacks.run("large bodies without a key", lambda: _raw(stack, b'[{"a":1},' * 450_000, path="/events"))
    return attacks.figures


def connections(lab: Lab, plan: Plan, say: Callable[[str], None]) -> Figures:
    """What `plan.sockets` connections of each kind do to a caller with a key."""
    kinds = {
        "idle sockets": b"",
        "headers that never end": b"GET / HTTP/1.1\r\nx-a: b\r\n",
        "bodies that never come": b"POST /generate HTTP/1.1\r\nhost: x\r\ncontent-length: 3000\r\n\r\n",
        "large bodies that never come": b"POST /generate HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n"
        + b"x" * 30_000,
    }
    with lab.service("connections", policy_url=closed_port()) as stack:
        attacks = Attacks(stack, plan, say)
        attacks.run("quiet", lambda: sleep(plan.quiet_s))
        for name, sent in kinds.items():
            attacks.run(name, lambda sent=sent: _crowd(stack, plan, lab.workload, sent))
    return attacks.figures


def upstream(lab: Lab, plan: Plan, say: Callable[[str], None]) -> Figures:
    figures: Figures = {}
    for kind in HOSTILE:
        with (
            _hostile(lab, kind) as url,
            lab.service("upstream", policy_url=url, policy_timeout_s=plan.seconds) as stack,
        ):
            attacks, numbers = Attacks(stack, plan, say), iter(range(1_000_000))
            attacks.run(kind, lambda attacks=attacks, numbers=numbers: _misses(attacks.http, plan, lab, numbers))
            figures |= attacks.figures
    return figures


# ---- attacks


def _with_page(brief: dict[str, Any], page: str) -> dict[str, Any]:
    ad = {**brief["ad"], "landing_page": page, "approved": []}
    return {"brief": {**brief, "ad": ad}, "platform": "google_rsa", "unit_id": "u", "deadline_ms": 10_000}


def _sent(http: httpx.Client, path: str, body: object) -> Figures:
    began = monotonic()
    answer = http.post(path, content=json.dumps(body, ensure_ascii=False).encode())
    if answer.status_code != 200:
        raise SystemExit(f"{path} answered {answer.status_code}: no measurement")
    return {"status": answer.status_code, "answer_kib": len(answer.content) / 1024, "seconds": monotonic() - began}


def _raw(stack: Stack, body: bytes, *, path: str = "/check", key: str = "") -> Figures:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        answer = httpx.post(f"{stack.url}{path}", content=body, headers=headers, timeout=60, trust_env=False)
    except httpx.TransportError:
        return {"status": 0}  # closed before it had read everything
    return {"status": answer.status_code}


def _crowd(stack: Stack, plan: Plan, workload: Workload, sent: bytes) -> Figures:
    """Open the connections, then ask as a caller with a key until the time is over."""
    opened: list[socket.socket] = []
    try:
        for _ in range(plan.sockets):
            opened.append(socket.create_connection(("127.0.0.1", stack.settings.port), timeout=10))
            with suppress(OSError):  # it may be closed already, which is the point
                opened[-1].sendall(sent)
        statuses, until = [], monotonic() + plan.seconds
        headers = {"Authorization": f"Bearer {stack.keys['generate']}"}
        while monotonic() < until:
            body = {"brief": workload.brief(7), "platform": "google_rsa", "unit_id": "u"}
            try:
                answer = httpx.post(f"{stack.url}/generate", json=body, headers=headers, timeout=10, trust_env=False)
                statuses.append(answer.status_code)
            except httpx.TransportError:
                statuses.append(0)  # a reset or a timeout: this caller was not served
        return {"served_share": statuses.count(200) / len(statuses)}
    finally:
        for connection in opened:
            connection.close()


def _misses(http: httpx.Client, plan: Plan, lab: Lab, numbers: Iterator[int]) -> Figures:
    """Distinct keys, each a call of the policy server, until the time is over."""
    statuses, until = [], monotonic() + plan.seconds
    while monotonic() < until:
        body = {"brief": lab.workload.brief(next(numbers)), "platform": "google_rsa", "unit_id": "u"}
        statuses.append(http.post("/generate", json=body | {"deadline_ms": 2_000}).status_code)
    return {"served_share": statuses.count(200) / len(statuses)}


@contextmanager
def _hostile(lab: Lab, kind: str) -> Iterator[str]:
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "benchmarks.hostile_upstream", kind, str(port)]
    url = f"http://127.0.0.1:{port}"
    child = Child("hostile", command, lab.folder / "hostile.log", os.environ, ready=lambda: answers(f"{url}/health"))
    child.start()
    try:
        child.wait_ready(READY_S)
        yield url
    finally:
        child.stop()


# ---- results

SECTIONS = {"texts": texts, "connections": connections, "upstream": upstream}


def goals(figures: Figures) -> Iterator[Goal]:
    for attacks in figures.values():
        for name, found in attacks.items():
            yield Goal(f"{name}: stall, ms", found["stall_ms"], "<=", STALL_MS)
            yield Goal(f"{name}: memory, MiB more", found["grown_mib"], "<=", GROWTH_MIB)
            if "served_share" in found:
                yield Goal(f"{name}: callers served", found["served_share"], ">=", 1.0)


def measure(names: list[str], plan: Plan, folder: Path) -> Figures:
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True)
    ) as progress:
        task = progress.add_task("starting", total=None)
        lab = Lab(folder, build(folder), Workload())
        return {name: SECTIONS[name](lab, plan, lambda step: progress.update(task, description=step)) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SECTIONS, action="append", help="run this section; default: all")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs, not to measure")
    parser.add_argument("--folder", type=Path, help="where databases are kept; default: a temporary folder")
    parser.add_argument(
        "--out", type=Path, help="JSON file; default benchmarks/results/hostile.json for a complete run, else none"
    )
    options = parser.parse_args()
    plan, names = QUICK if options.quick else Plan(), options.only or list(SECTIONS)
    kept = options.out is not None or (options.only is None and not options.quick)
    out = destination("hostile", options.out) if kept else None
    with tempfile.TemporaryDirectory(prefix="relate-bench-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(names, plan, folder.resolve())
    table = Table("attack", "stall, ms", "memory, MiB more", "callers served", title="Hostile")
    for attacks in figures.values():
        for name, found in attacks.items():
            served = f"{found['served_share']:.1%}" if "served_share" in found else ""
            table.add_row(name, f"{found['stall_ms']:.0f}", f"{found['grown_mib']:.0f}", served)
    Console(width=100).print(table)
    missed = [goal for goal in goals(figures) if not goal.met]
    for goal in missed:
        print(f"missed: {goal.what} {goal.figure:.3g} ({goal.rule} {goal.bound:g})")
    if out is not None:
        print(record("hostile", {"plan": asdict(plan), **figures}, PACKAGES, out))
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
