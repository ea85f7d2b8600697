"""What a report costs when the history is long, and what a few new events cost it.

    python -m benchmarks.report                     # 10 M events; about twenty minutes, most of them loading
    python -m benchmarks.report --events 200000     # a glance; writes nothing unless --out is given

report    GET /experiments/{name}/report over the time of the single hand-written aggregate over the running table that
    a warehouse would
          start from: n, sums and second moments per arm of the mature days. Interleaved.
refresh   folding 10,000 new events over a full rebuild.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import httpx
import psycopg
from rich.console import Console

from app.core.settings import Settings
from app.store.database import AsyncConnection, Database
from app.store.fold import fold, rebuild
from app.up.stack import Stack
from benchmarks.events import experiment
from benchmarks.record import record

Figures = dict[str, Any]
PACKAGES = ("fastapi", "pydantic", "psycopg", "sqlalchemy", "numpy", "scipy")
DAYS, PER_UNIT, NEW = 30, 8, 10_000
WINDOW = timedelta(hours=24)  # attribution window
PAIRS = 7

# Token i: always an impression, a click on every fifth, a conversion on every twentieth; PER_UNIT tokens a unit, over
# all days.
_EVENTS = """
    INSERT INTO events (
        event_id, kind, serve_id, unit, phase_id, arm, text_id, policy_id, source, served_at, occurred_at
    )
    SELECT 'e' || kind || '-' || i, kind, md5('serving ' || i)::uuid, decode(md5('unit ' || i % {units}), 'hex'),
           {phase}, (i % {units}) % 2, md5('text ' || i % 50)::uuid, 1, 1, shown, shown + kind * interval '1 minute'
    FROM generate_series(CAST({first} AS bigint), {last}) AS i
    CROSS JOIN LATERAL (SELECT (hashint8(i)::bigint & 2147483647) % {seconds} AS age) AS aged
    CROSS JOIN LATERAL (SELECT now() - interval '1 hour' - age * interval '1 second' AS shown) AS at
    CROSS JOIN LATERAL generate_series(0, CAST(i % 5 = 0 AS integer) + CAST(i % 20 = 0 AS integer)) AS kind"""
_ASSIGNED = """
    INSERT INTO assigned_units SELECT {phase}, decode(md5('unit ' || i), 'hex'), i % 2, now() - interval '{days} days'
    FROM generate_series(0, {units} - 1) AS i"""
_AGGREGATE = """
    SELECT arm, count(*) FILTER (WHERE valid_impressions_before = 0 AND valid_impressions > 0),
           sum(valid_impressions), sum(valid_clicks), sum(valid_conversions),
           sum(CAST(valid_impressions AS float8) * (2 * valid_impressions_before + valid_impressions)),
           sum(CAST(valid_clicks AS float8) * (2 * valid_clicks_before + valid_clicks)),
           sum(CAST(valid_conversions AS float8) * (2 * valid_conversions_before + valid_conversions)),
           sum(CAST(valid_impressions AS float8) * (valid_clicks_before + valid_clicks)
               + CAST(valid_impressions_before AS float8) * valid_clicks),
           sum(CAST(valid_impressions AS float8) * (valid_conversions_before + valid_conversions)
               + CAST(valid_impressions_before AS float8) * valid_conversions),
           sum(CAST(valid_clicks AS float8) * (valid_conversions_before + valid_conversions)
               + CAST(valid_clicks_before AS float8) * valid_conversions)
    FROM unit_days WHERE phase_id = {phase} AND day < '{cutoff}' GROUP BY arm ORDER BY arm"""


def measure(folder: Path, events: int, say: Callable[[str], None]) -> Figures:
    settings = Settings(data_dir=folder, port=0, policy_url="http://127.0.0.1:9", log_level="warning")
    with Stack(settings) as stack:
        phase = experiment(stack)
        tokens = events * 4 // 5
        units = tokens // PER_UNIT
        with psycopg.connect(stack.settings.database_url, autocommit=True) as connection:
            say(f"loading {events:,} events of {units:,} units")
            _load(connection, phase, units, 0, tokens, timedelta(days=DAYS))
            connection.execute(_ASSIGNED.format(phase=phase, units=units, days=DAYS).encode())
            say("folding all of them")
            rebuilt_s = asyncio.run(_timed(stack.settings, _rebuild))
            connection.execute("VACUUM ANALYZE")
            say("reading reports")
            figures = reports(stack, connection, phase)
            stack.api.stop()  # its folder would take the new events first
            say(f"folding {NEW:,} new events")
            refreshes = [
                _refresh(stack.settings, connection, phase, units, tokens + turn * NEW) for turn in range(PAIRS)
            ]
    return {
        "events": events,
        "units": units,
        **figures,
        "rebuild_s": rebuilt_s,
        "refresh_s": median(refreshes),
        "refresh_of_rebuild": median(refreshes) / rebuilt_s,
        "refreshes_s": refreshes,
    }


def reports(stack: Stack, connection: psycopg.Connection[Any], phase: int) -> Figures:
    """Seconds of the report over HTTP and of the aggregate, interleaved, after one of each."""
    as_of = datetime.now(UTC)
    cutoff = (as_of - WINDOW - timedelta(hours=24)).date()
    statement = _AGGREGATE.format(phase=phase, cutoff=cutoff.isoformat()).encode()
    headers = {"Authorization": f"Bearer {stack.keys['report']}"}
    pairs = []
    with httpx.Client(base_url=stack.url, headers=headers, timeout=600, trust_env=False) as client:
        for _ in range(PAIRS + 1):
            began = perf_counter()
            document = (
                client.get("/experiments/events/report", params={"as_of": as_of.isoformat()}).raise_for_status().json()
            )
            middle = perf_counter()
            connection.execute(statement).fetchall()
            pairs.append((middle - began, perf_counter() - middle))
    ratios = [ours / theirs for ours, theirs in pairs[1:]]
    return {
        "report_s": median(ours for ours, _ in pairs[1:]),
        "aggregate_s": median(theirs for _, theirs in pairs[1:]),
        "report_of_aggregate": median(ratios),
        "ratios": ratios,
        "headline": document["headline"],
    }


def _load(connection: psycopg.Connection[Any], phase: int, units: int, first: int, last: int, over: timedelta) -> None:
    """Events of tokens first to last, shown at random moments of the time before the last hour."""
    values = {"phase": phase, "units": units, "seconds": int(over.total_seconds())}
    for start in range(first, last, 500_000):
        connection.execute(_EVENTS.format(first=start, last=min(start + 500_000, last) - 1, **values).encode())


def _refresh(settings: Settings, connection: psycopg.Connection[Any], phase: int, units: int, first: int) -> float:
    """Seconds to fold NEW more events, just in, of units that are there already."""
    last = first + NEW * 4 // 5
    _load(connection, phase, units, first, last, timedelta(hours=1))
    numbers = f"generate_series({first}, {last - 1}) AS i"
    connection.execute(f"INSERT INTO stale_tokens SELECT md5('serving ' || i)::uuid FROM {numbers}".encode())
    return asyncio.run(_timed(settings, _fold))


async def _rebuild(connection: AsyncConnection) -> None:
    await rebuild(connection, WINDOW)


async def _fold(connection: AsyncConnection) -> None:
    await fold(connection, WINDOW)


async def _timed(settings: Settings, work: Callable[[AsyncConnection], Awaitable[None]]) -> float:
    """Seconds of one transaction, commit included."""
    database = Database(settings)
    try:
        began = perf_counter()
        async with database.begin() as connection:
            await work(connection)
        return perf_counter() - began
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="where the database goes; default: a temporary folder")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        found = measure(Path(folder), chosen.events, Console(file=sys.stderr).print)
    print(
        f"report {found['report_s']:.2f} s = {found['report_of_aggregate']:.2f} x the aggregate "
        f"({found['aggregate_s']:.2f} s); "
        f"refresh {found['refresh_s']:.2f} s = {found['refresh_of_rebuild']:.2%} of a rebuild "
        f"({found['rebuild_s']:.0f} s)"
    )
    if chosen.out or chosen.events >= 10_000_000:
        print(record("report", found, PACKAGES, chosen.out))


if __name__ == "__main__":
    main()
