"""A server that is killed while rules change leaves one consistent version in force."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import sleep

import httpx
import psycopg
import pytest

from adtext.rules import load_rules
from app.core.settings import Settings
from app.up.stack import Stack

RULES = ("shouting", "emoji", "clickbait", "absolute_claim")


@pytest.mark.slow
def test_a_kill_during_a_rules_change_leaves_one_version_in_force(settings: Settings) -> None:
    with Stack(settings.model_copy(update={"port": 0, "rate_per_second": 1e6})) as stack:
        bearer = {"Authorization": f"Bearer {stack.keys['ops']}"}
        changing = Event()

        def change() -> None:
            with httpx.Client(base_url=stack.url, headers=bearer, trust_env=False, timeout=30) as ops:
                for number in range(10_000):
                    body = {"switch": ("off", "review", None)[number % 3], "reason": "before the kill"}
                    try:
                        ops.put(f"/rules/{RULES[number % len(RULES)]}", json=body)
                        ops.put(f"/advertisers/店{number % 3}/rules", json={"excluded_terms": [f"term {number}"]})
                    except httpx.TransportError:
                        return
                    if number == 5:
                        changing.set()

        with ThreadPoolExecutor(2) as callers:
            calls = [callers.submit(change), callers.submit(change)]
            assert changing.wait(60)
            sleep(0.05)
            stack.api.kill()
            for call in calls:
                call.result()
        stack.api.start()
        stack.api.wait_ready(60)
        with psycopg.connect(settings.database_url) as connection:
            (in_force, number) = connection.execute(
                "SELECT value, number FROM revisions WHERE topic = 'rules'"
            ).fetchone()
            switches = dict(connection.execute("SELECT rule, switch FROM rule_switches").fetchall())
            own = connection.execute(
                "SELECT advertiser, count(*) FILTER (WHERE in_force), max(revision), max(version) = count(*) "
                "FROM advertiser_rules GROUP BY advertiser"
            ).fetchall()
        assert load_rules().switched(switches).version == in_force
        assert all(standing == 1 and revision <= number and gapless for _, standing, revision, gapless in own)
        with httpx.Client(base_url=stack.url, headers=bearer, trust_env=False, timeout=30) as ops:
            assert ops.get("/readyz").status_code == 200
            answer = ops.get("/rules").json()
        assert answer["rules_version"] == in_force
        assert {rule["rule"]: rule["switch"] for rule in answer["rules"] if rule["switch"]} == switches
