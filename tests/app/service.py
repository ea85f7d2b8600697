"""Requests as an ad system sends them, completions as a policy writes them, experiments as ops start them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from adtext.brief import AdText
from adtext.prompt import write

Generate = Callable[..., Awaitable[dict[str, Any]]]
Database = psycopg.Connection[tuple[Any, ...]]
_SERIAL = count(1)
GOOD = [
    "Title: Walking Boots From Fell & Moor\nDescription: Leather walking boots, resoled in our workshop. Try them on "
    "our test slope.",
    "Title: Leather Walking Boots\nDescription: Try walking boots on our test slope in Keswick. Every pair can be "
    "resoled.",
    "Title: Boots Resoled in Keswick\nDescription: Leather walking boots from Fell & Moor, resoled in our own "
    "workshop.",
    "Title: Fell & Moor Boots\nDescription: Walking boots of leather, and a test slope in the shop in Keswick.",
]
GOOD_ZH = [
    write(AdText(title="宽脚也能穿的跑鞋", description="青禾跑步，宽楦设计，欢迎选购。"), "zh"),
    write(AdText(title="青禾跑步 宽楦跑鞋", description="宽楦设计的跑鞋，适合宽脚跑者，欢迎选购。"), "zh"),
]
GOOD_JA = [
    write(
        AdText(title="幅広の足に合う靴", description="みどりランニングの幅広設計。足に合う一足をお選びください。"), "ja"
    )
]
BAD = "Title: The Best Boots Ever\nDescription: Guaranteed the cheapest boots in the world, 90% off today only."
BOOTS: dict[str, Any] = {
    "query": "walking boots",
    "bidwords": ["walking boots", "leather walking boots"],
    "locale": "en-GB",
    "ad": {
        "id": "boots-1",
        "advertiser": "Fell & Moor",
        "business": "Walking boots and repairs",
        "selling_points": ["Leather walking boots resoled in our workshop", "Test slope in the shop"],
        "landing_page": "Fell & Moor sells leather walking boots in Keswick. Every pair can be resoled in our own "
        "workshop.",
        "industry": "apparel",
        "approved": [
            {
                "title": "Fell & Moor Walking Boots",
                "description": "Leather boots, resoled in our own workshop. Visit the shop in Keswick.",
            }
        ],
    },
}
KAFFEE: dict[str, Any] = {
    "query": "手冲咖啡豆",
    "bidwords": ["咖啡豆", "手冲咖啡"],
    "locale": "zh-CN",
    "ad": {
        "id": "coffee-1",
        "advertiser": "山间咖啡",
        "business": "云南咖啡豆烘焙",
        "selling_points": ["云南小粒咖啡豆", "下单后现烘现发"],
        "landing_page": "山间咖啡选用云南小粒咖啡豆，下单后现烘现发。",
        "industry": "food",
        "approved": [{"title": "山间咖啡 云南小粒咖啡豆", "description": "下单后现烘现发，适合手冲，欢迎了解。"}],
    },
}


def a_request(**over: Any) -> dict[str, Any]:
    """A `/generate` body of its own pool key, so that tests do not meet in the pool; `ad` changes the ad's facts."""
    ad = BOOTS["ad"] | {"id": f"boots-{next(_SERIAL)}"} | over.pop("ad", {})
    brief = BOOTS | {"ad": ad} | over.pop("brief", {})
    return {"brief": brief, "platform": "google_rsa", "unit_id": "u-1", "deadline_ms": 5000} | over


def start_experiment(
    database: psycopg.Connection[Any],
    name: str,
    policies: list[str],
    *,
    low: int = 0,
    high: int = 10_000,
    state: str = "running",
) -> None:
    """Write a running experiment with equal arms straight into the tables, and announce it."""
    weights = [10_000 // len(policies)] * len(policies)
    arms = [
        {"name": f"arm{number}", "policy": policy, "weight": weight}
        for number, (policy, weight) in enumerate(zip(policies, weights, strict=True))
    ]
    columns = "(name, layer, state, low, high, window_hours, planned_units)"
    row = database.execute(
        f"INSERT INTO experiments {columns} VALUES (%s, 'default', %s, %s, %s, 24, 10000) RETURNING id",
        (name, state, low, high),
    ).fetchone()
    assert row is not None
    database.execute(
        "INSERT INTO phases (experiment_id, number, salt, arms) VALUES (%s, 1, %s, %s)",
        (row[0], f"{name}-1", Jsonb(arms)),
    )
    database.execute("UPDATE revisions SET number = number + 1 WHERE topic = 'registry'")


def policy(database: Database, kind: str) -> str:
    """The version of the one policy of this kind."""
    row = database.execute("SELECT version FROM policies WHERE kind = %s", (kind,)).fetchone()
    assert row is not None
    version: str = row[0]
    return version
