"""What taking events in costs, against bare SQL, and what it survives.

    python -m benchmarks.events                   # about five minutes
    python -m benchmarks.events --quick           # a glance; writes nothing unless --out is given

rows    rows/s through POST /events in batches of 500 over one psycopg connection that COPYs the same rows to a staging
    table and inserts
        them ON CONFLICT DO NOTHING, a commit each, into the same tables and indexes; and over one ORM insert and
        commit a row. Interleaved; our side opens tokens, answers every row and queues it for the fold, the others only
        store. `folded` is our rate until everything stands in a report.
kill    a stream sent three times, shuffled, the server killed (SIGKILL) in the middle and started again: the report at
    a fixed as_of is the
        same to the last digit as that of the stream sent once, and no acknowledged event is lost.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from statistics import median
from threading import Event
from time import perf_counter, sleep
from typing import Any
from uuid import UUID

import httpx
import psycopg
from rich.console import Console
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app.core.secrets import Secrets
from app.core.tokens import Sealer, Served
from app.store.models.events import EventRow
from app.up.stack import Stack
from benchmarks.lab import Lab, scalar
from benchmarks.load import build, post
from benchmarks.record import record
from benchmarks.workload import Workload

Figures = dict[str, Any]
PACKAGES = ("fastapi", "pydantic", "uvicorn", "psycopg", "sqlalchemy", "cryptography")
BATCH = 500
COLUMNS = "event_id, kind, serve_id, unit, phase_id, arm, text_id, policy_id, source, served_at, occurred_at"
KINDS = ("impression", "click", "conversion")


@dataclass(frozen=True)
class Plan:
    pairs: int = 7
    batches: int = 60  # batches per closed loop and per run of the baseline
    orm_rows: int = 500
    connections: int = 8
    killed_tokens: int = 20_000


QUICK = Plan(pairs=2, batches=20, orm_rows=100, killed_tokens=2_000)


@dataclass(frozen=True)
class Row:
    """One event with the serving its token stands for."""

    event_id: str
    kind: int
    served: Served
    token: str
    at: datetime

    def as_json(self) -> dict[str, Any]:
        return {
            "event_id": self.event_id,
            "kind": KINDS[self.kind],
            "token": self.token,
            "occurred_at": self.at.isoformat(),
        }

    def as_columns(self) -> tuple[Any, ...]:
        serving = self.served
        return (
            self.event_id,
            self.kind,
            serving.uuid,
            serving.unit,
            serving.phase_id,
            serving.arm,
            UUID(bytes=serving.text_id),
            serving.policy_id,
            serving.source,
            serving.served_at,
            self.at,
        )


def stream(sealer: Sealer, phase: int, name: str, tokens: int, now: datetime) -> Iterator[Row]:
    """Impressions, a click on every fifth, a conversion on every twentieth; ten tokens a unit."""
    for i in range(tokens):
        served_at = now - timedelta(seconds=i % 7200)
        parts = [
            blake2b(f"{name} {part}".encode(), digest_size=16).digest()
            for part in (f"serving {i}", f"unit {i // 10}", f"text {i % 50}")
        ]
        unit_arm = (i // 10) % 2
        served = Served(parts[0], parts[1], parts[2], phase, unit_arm, 1, 1, int(served_at.timestamp() * 1000))
        token = sealer.seal(served)
        for kind in range(1 + (i % 5 == 0) + (i % 20 == 0)):
            yield Row(f"{name}:{i}:{kind}", kind, served, token, served.served_at + timedelta(minutes=kind))


def batches(rows: Iterator[Row], count: int) -> list[list[Row]]:
    return [list(islice(rows, BATCH)) for _ in range(count)]


def rows(lab: Lab, plan: Plan, say: Callable[[str], None]) -> Figures:
    """Rows/s of the endpoint, of COPY + INSERT, and of the ORM."""
    with lab.service("events", policy_url="http://127.0.0.1:9") as stack:
        sealer, phase, now = (
            Sealer(Secrets.load(stack.settings.secrets_path).tokens),
            experiment(stack),
            datetime.now(UTC),
        )
        supply = stream(sealer, phase, f"rows-{now.timestamp()}", 10**9, now)
        pairs = []
        for number in range(plan.pairs + 1):
            say(f"rows: pair {number} of {plan.pairs}" if number else "rows: warming up")
            ours = through_http(lab, stack, plan, batches(supply, plan.batches))
            began = perf_counter()
            report(stack, now)  # folds what is waiting
            folded = 1 / (1 / ours + (perf_counter() - began) / (plan.batches * BATCH))
            drained(stack)
            theirs = through_copy(stack, batches(supply, plan.batches))
            orm = through_orm(stack, [row for batch in batches(supply, 1) for row in batch][: plan.orm_rows])
            pairs.append(
                {
                    "ours": ours,
                    "folded": folded,
                    "copy": theirs,
                    "orm": orm,
                    "of_copy": ours / theirs,
                    "of_orm": ours / orm,
                }
            )
        counted = scalar(stack, "SELECT count(*) FROM events WHERE event_id LIKE 'rows%'")
    sent = (plan.pairs + 1) * (2 * plan.batches * BATCH + plan.orm_rows)
    if counted != sent:
        raise SystemExit(f"{sent} rows were sent and {counted} are stored")
    pairs = pairs[1:]
    return {
        name: median(pair[name] for pair in pairs) for name in ("ours", "folded", "copy", "orm", "of_copy", "of_orm")
    } | {"pairs": pairs}


def through_http(lab: Lab, stack: Stack, plan: Plan, groups: Sequence[Sequence[Row]]) -> float:
    bodies = (json.dumps({"events": [row.as_json() for row in group]}).encode() for group in groups)
    file = lab.requests("events", [post("/events", body, key=stack.keys["events"]) for body in bodies])
    load = lab.generator.closed(
        file, port=stack.settings.port, connections=plan.connections, count=len(groups), limit_ms=60_000, drain_s=120
    )
    if load.statuses != {"200": len(groups)}:
        raise SystemExit(f"not every batch was taken: {load.statuses}")
    return len(groups) * BATCH / load.elapsed_s


def through_copy(stack: Stack, groups: Sequence[Sequence[Row]]) -> float:
    """One connection, synchronous_commit=on: COPY to a temporary staging table, INSERT … ON CONFLICT DO NOTHING,
    commit.
    """
    values = [[row.as_columns() for row in group] for group in groups]
    with psycopg.connect(stack.settings.database_url) as connection:
        connection.execute("SET synchronous_commit = on")
        connection.execute("CREATE TEMP TABLE staging (LIKE events INCLUDING DEFAULTS) ON COMMIT DELETE ROWS")
        connection.commit()
        began = perf_counter()
        for group in values:
            with connection.cursor() as cursor, cursor.copy(f"COPY staging ({COLUMNS}) FROM STDIN") as copy:
                for row in group:
                    copy.write_row(row)
            connection.execute(f"INSERT INTO events ({COLUMNS}) SELECT {COLUMNS} FROM staging ON CONFLICT DO NOTHING")
            connection.commit()
        return len(groups) * BATCH / (perf_counter() - began)


def through_orm(stack: Stack, some: Sequence[Row]) -> float:
    engine = create_engine(stack.settings.sqlalchemy_url)
    names = COLUMNS.split(", ")
    with Session(engine) as session:
        began = perf_counter()
        for row in some:
            session.add(EventRow(**dict(zip(names, row.as_columns(), strict=True))))
            session.commit()
        rate = len(some) / (perf_counter() - began)
    engine.dispose()
    return rate


def kill(lab: Lab, plan: Plan, say: Callable[[str], None]) -> Figures:
    """The same stream once in order, and three times shuffled with the server killed in the middle: one report."""
    now = datetime.now(UTC)
    reports, lost = [], -1
    for name, times in (("once", 1), ("killed", 3)):
        say(f"kill: {plan.killed_tokens} tokens, {name}")
        with lab.service(name, policy_url="http://127.0.0.1:9") as stack:
            sealer, phase = Sealer(Secrets.load(stack.settings.secrets_path).tokens), experiment(stack)
            all_rows = [row.as_json() for row in stream(sealer, phase, "kill", plan.killed_tokens, now)] * times
            if times > 1:
                random.Random(7).shuffle(all_rows)
            acknowledged = sent_whatever_happens(stack, all_rows, kill_after=0.4 if times > 1 else None)
            missing = acknowledged - {row[0] for row in _all(stack, "SELECT event_id FROM events")}
            let_days_pass(stack, 3)
            reports.append(report(stack, now))
            lost = len(missing)
    return {
        "events": len(all_rows),
        "acknowledged_lost": lost,
        "same_report": reports[0] == reports[1],
        "arms": reports[1]["arms"],
    }


def sent_whatever_happens(stack: Stack, all_rows: list[dict[str, Any]], kill_after: float | None) -> set[str]:
    """Send every row until it is acknowledged; after that share of the batches kill the server and start it again."""
    groups = [all_rows[i : i + BATCH] for i in range(0, len(all_rows), BATCH)]
    acknowledged: set[str] = set()
    half_way = Event()

    def send() -> None:
        headers = {"Authorization": f"Bearer {stack.keys['events']}"}
        with httpx.Client(base_url=stack.url, headers=headers, timeout=60, trust_env=False) as client:
            for number, group in enumerate(groups):
                if number == int((kill_after or 1) * len(groups)):
                    half_way.set()
                while not _sent(client, group):
                    sleep(0.1)
                acknowledged.update(row["event_id"] for row in group)
        half_way.set()

    with ThreadPoolExecutor(1) as sender:
        sending = sender.submit(send)
        half_way.wait()
        if kill_after is not None:  # from this thread: a child ends with the thread that started it
            stack.api.kill()
            stack.api.start()
            stack.api.wait_ready(60)
        sending.result()
    return acknowledged


def _sent(client: httpx.Client, group: list[dict[str, Any]]) -> bool:
    try:
        answer = client.post("/events", json={"events": group})
    except httpx.TransportError:
        return False
    if answer.status_code != 200:
        return False
    if rejected := [answer for answer in answer.json()["answers"] if answer["status"] == "rejected"]:
        raise SystemExit(f"rejected: {rejected[0]}")
    return True


def experiment(stack: Stack) -> int:
    """A running experiment of champion against champion; the id of its phase."""
    arms = [{"name": name, "policy": "champion"} for name in ("control", "treatment")]
    body = {"name": "events", "arms": arms, "window_hours": 24, "planned_units": 10_000, "salt": "events-benchmark"}
    with httpx.Client(
        base_url=stack.url, headers={"Authorization": f"Bearer {stack.keys['ops']}"}, trust_env=False
    ) as client:
        if client.get("/experiments/events").status_code == 404:
            client.post("/experiments", json=body).raise_for_status()
            client.post("/experiments/events/start").raise_for_status()
    return int(scalar(stack, "SELECT max(id) FROM phases"))


def report(stack: Stack, as_of: datetime) -> dict[str, Any]:
    """The experiment's report at a fixed moment, without what names the installation."""
    answer = httpx.get(
        f"{stack.url}/experiments/events/report",
        params={"as_of": as_of.isoformat()},
        timeout=60,
        trust_env=False,
        headers={"Authorization": f"Bearer {stack.keys['report']}"},
    ).raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def let_days_pass(stack: Stack, days: int) -> None:
    """Move all events into the past, so that they are mature now: a report never looks ahead."""
    with psycopg.connect(stack.settings.database_url) as connection:
        shift = "occurred_at = occurred_at - %(past)s, served_at = served_at - %(past)s"
        connection.execute(f"UPDATE events SET {shift}", {"past": timedelta(days=days)})
        connection.execute("INSERT INTO stale_tokens SELECT DISTINCT serve_id FROM events")


def drained(stack: Stack) -> None:
    """Wait until the folder has nothing left to do, so that nobody else pays for it."""
    while scalar(stack, "SELECT EXISTS (SELECT FROM stale_tokens)"):
        sleep(0.2)


def _all(stack: Stack, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.settings.database_url) as connection:
        return connection.execute(statement.encode()).fetchall()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("rows", "kill"))
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    plan, console = QUICK if chosen.quick else Plan(), Console(file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder), build(Path(folder)), Workload())
        sections = {"rows": rows, "kill": kill}
        figures = {
            name: section(lab, plan, console.print) for name, section in sections.items() if chosen.only in (None, name)
        }
    if "rows" in figures:
        found = figures["rows"]
        print(
            f"HTTP {found['ours']:,.0f} rows/s = {found['of_copy']:.2f} x COPY + INSERT ({found['copy']:,.0f}) "
            f"= {found['of_orm']:.1f} x the ORM ({found['orm']:,.0f}); until all stands in a report "
            f"{found['folded']:,.0f}"
        )
    if "kill" in figures:
        print(
            f"same report: {figures['kill']['same_report']}, acknowledged events lost: "
            f"{figures['kill']['acknowledged_lost']}"
        )
    if chosen.out or not (chosen.quick or chosen.only):
        print(record("events", {"batch": BATCH, **figures}, PACKAGES, chosen.out))


if __name__ == "__main__":
    main()
