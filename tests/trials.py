"""Trials written straight into the tables, as ad systems would have reported them: units that come back, click by mood,
convert late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[tuple[Any, ...]]
EVENTS = "event_id, kind, serve_id, unit, phase_id, arm, text_id, policy_id, source, served_at, occurred_at"
IMPRESSION, CLICK, CONVERSION = range(3)
_SOURCES = (1, 1, 1, 1, 1, 1, 1, 2, 2, 3)  # pool, fresh, advertiser: what a healthy pool serves
_TEXTS = (  # locale, industry, platform, title, description
    ("en-GB", "apparel", "google_rsa", "Walking Boots From Fell & Moor", "Leather boots, resoled in our own workshop."),
    (
        "en-US",
        "travel",
        "google_rsa",
        "Night Trains To The Coast",
        "Sleep on board and wake up by the sea. Book a berth online.",
    ),
    (
        "en-US",
        "software",
        "google_rsa",
        "Invoices That Send Themselves",
        "Write once, bill every month. Try it with your own data.",
    ),
    ("zh-CN", "food", "baidu_search", "云南小粒咖啡豆 现烘现发", "下单后现烘现发，适合手冲，欢迎了解。"),
    ("zh-CN", "apparel", "baidu_search", "宽脚也能穿的跑鞋", "青禾跑步，宽楦设计，缓震轻便，欢迎选购。"),
    ("ja-JP", "apparel", "generic", "幅広の足に合うランニングシューズ", "足に合う一足をお選びください。"),
)


@dataclass(frozen=True, slots=True)
class ArmOf:
    """One arm of a trial, and what its units do: clicks per impression, conversions per click."""

    name: str
    ctr: float = 0.08
    cvr: float = 0.25
    share: float = 1.0  # share of its units that arrive; below 1 some are lost


def draft(
    connection: Connection,
    name: str,
    arms: Sequence[ArmOf],
    *,
    layer: str = "",
    window_hours: int = 72,
    planned_units: int = 40_000,
) -> int:
    """Write a draft with equal weights on a layer of its own; returns its phase's id."""
    (policy,) = first_row(connection, "SELECT version FROM policies ORDER BY id LIMIT 1")
    (experiment,) = first_row(
        connection,
        "INSERT INTO experiments (name, layer, state, low, high, window_hours, planned_units) VALUES (%s, %s, "
        "'draft', 0, 10000, %s, %s)"
        " RETURNING id",
        name, layer or f"layer-{name}", window_hours, planned_units,
    )  # fmt: skip
    weight = 10_000 // len(arms)
    weights = [weight] * (len(arms) - 1) + [10_000 - weight * (len(arms) - 1)]
    written = [{"name": arm.name, "policy": policy, "weight": each} for arm, each in zip(arms, weights, strict=True)]
    (phase,) = first_row(
        connection, "INSERT INTO phases (experiment_id, number, salt, arms) VALUES (%s, 1, %s, %s) RETURNING id",
        experiment, f"{name}.1", Jsonb(written),
    )  # fmt: skip
    _announce(connection)
    return int(phase)


def start(connection: Connection, name: str, started_at: datetime) -> None:
    _set(connection, name, "state = 'running', started_at", "started_at", started_at)


def stop(connection: Connection, name: str, stopped_at: datetime) -> None:
    _set(connection, name, "state = 'stopped', stopped_at", "ended_at", stopped_at)


def run(
    connection: Connection, name: str, arms: Sequence[ArmOf], *, days: int, units_a_day: int, seed: int = 1,
    layer: str = "", planned_units: int = 40_000, now: datetime | None = None,
) -> int:  # fmt: skip
    """Draft, start `days` ago, and let units come; what they did waits for the fold. Returns the phase's id."""
    now = now or datetime.now(UTC)
    began = now - timedelta(days=days)
    phase = draft(connection, name, arms, layer=layer, planned_units=planned_units)
    start(connection, name, began)
    random = np.random.default_rng(seed)
    texts = _texts(connection)
    events: list[tuple[Any, ...]] = []
    assigned: list[tuple[Any, ...]] = []
    for number, arm in enumerate(arms):
        units = round(days * units_a_day / len(arms) * arm.share)
        first = began + np.sort(random.uniform(0, days, units)) * timedelta(days=1)
        for index, first_at in enumerate(first):
            unit = seed.to_bytes(4, "big") + number.to_bytes(4, "big") + index.to_bytes(8, "big")
            assigned.append((phase, unit, number, first_at))
            events += _unit(random, arm, phase, number, unit, first_at, now, texts)
    _store(connection, events, assigned)
    _guard(connection, phase, arms, began.date(), days, units_a_day)
    return phase


def _unit(
    random: np.random.Generator, arm: ArmOf, phase: int, number: int, unit: bytes, first_at: datetime, now: datetime,
    texts: Sequence[tuple[UUID, int]],
) -> list[tuple[Any, ...]]:  # fmt: skip
    """One unit's events until now: it comes back over a few days, and some units click far more than others."""
    mood = random.gamma(2.0, 0.5)
    events: list[tuple[Any, ...]] = []
    for visit in range(1 + random.poisson(1.0)):
        at = first_at + (timedelta(hours=random.exponential(30)) if visit else timedelta(0))
        if at >= now:
            continue
        serve = random.bytes(16)
        text, policy = texts[random.integers(len(texts))]
        what = (UUID(bytes=serve), unit, phase, number, text, policy, _SOURCES[random.integers(len(_SOURCES))], at)
        told = [(IMPRESSION, at)]
        if random.random() < arm.ctr * mood:
            told.append((CLICK, at + timedelta(seconds=random.uniform(0.4, 90))))
            if random.random() < arm.cvr:
                told.append((CONVERSION, told[-1][1] + timedelta(hours=random.exponential(6))))
        events += [(f"{phase}-{serve.hex()}-{kind}", kind, *what, when) for kind, when in told if when < now]
    return events


def _store(connection: Connection, events: Sequence[tuple[Any, ...]], assigned: Sequence[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY events ({EVENTS}) FROM STDIN") as out:
            for event in events:
                out.write_row(event)
        with cursor.copy("COPY assigned_units (phase_id, unit, arm, first_at) FROM STDIN") as out:
            for unit in assigned:
                out.write_row(unit)
        cursor.execute(
            "INSERT INTO stale_tokens SELECT DISTINCT serve_id FROM events WHERE serve_id NOT IN (SELECT serve_id "
            "FROM exposures)"
        )


def _texts(connection: Connection) -> list[tuple[UUID, int]]:
    """The texts every trial shows, with the policy that wrote them."""
    (policy,) = first_row(connection, "SELECT id FROM policies ORDER BY id LIMIT 1")
    ids = [UUID(int=number + 1) for number in range(len(_TEXTS))]
    for text, (locale, industry, platform, title, description) in zip(ids, _TEXTS, strict=True):
        connection.execute(
            "INSERT INTO texts (id, pool_key, policy_id, origin, state, title, description, brief_digest, advertiser, "
            "ad_id, industry,"
            " locale, platform, spec_version, rules_version, score, findings) VALUES"
            " (%s, '', %s, 'model', 'approved', %s, %s, '', 'a shop', 'ad', %s, %s, %s, '1', '1', 1, '[]') ON "
            "CONFLICT DO NOTHING",
            (text, policy, title, description, industry, locale, platform),
        )
    return [(text, policy) for text in ids]


def _guard(connection: Connection, phase: int, arms: Sequence[ArmOf], first: date, days: int, units_a_day: int) -> None:
    """What the guardrails read: requests by source and latency, raw candidates and how many complied."""
    (policy,) = first_row(connection, "SELECT id FROM policies ORDER BY id LIMIT 1")
    for day in (first + timedelta(days=number) for number in range(days)):
        for number in range(len(arms)):
            for source, share in ((1, 0.84), (2, 0.13), (3, 0.02), (0, 0.01)):
                row = (phase, day, number, source, 30 + 20 * (source == 2), round(units_a_day / len(arms) * 2 * share))
                connection.execute("INSERT INTO request_days VALUES (%s, %s, %s, %s, %s, %s)", row)
        connection.execute(
            "INSERT INTO candidate_counts (policy_id, rules_version, day, candidates, compliant) VALUES (%s, 'r1', "
            "%s, 420, 402)"
            " ON CONFLICT DO NOTHING",
            (policy, day),
        )


def let_days_pass(connection: Connection, days: int) -> None:
    """Move all that was served and reported into the past, for the fold to find: a report never looks ahead."""
    past = timedelta(days=days)
    connection.execute("UPDATE events SET occurred_at = occurred_at - %s, served_at = served_at - %s", (past, past))
    connection.execute("INSERT INTO stale_tokens SELECT DISTINCT serve_id FROM events")


def first_row(connection: Connection, statement: str, *values: object) -> tuple[Any, ...]:
    row = connection.execute(statement, values).fetchone()
    assert row is not None
    return row


def _set(connection: Connection, name: str, experiment: str, phase: str, at: datetime) -> None:
    connection.execute(f"UPDATE experiments SET {experiment} = %s WHERE name = %s", (at, name))
    connection.execute(
        f"UPDATE phases SET {phase} = %s WHERE experiment_id = (SELECT id FROM experiments WHERE name = %s)", (at, name)
    )  # fmt: skip
    _announce(connection)


def _announce(connection: Connection) -> None:
    connection.execute("UPDATE revisions SET number = number + 1 WHERE topic = 'registry'")
