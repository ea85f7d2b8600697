"""A stream sent three times, shuffled, through a server that is killed in the middle: nothing acknowledged is lost or
counted twice.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import httpx
import psycopg
import pytest
from counting import HOUR, a_funnel, digest
from trials import let_days_pass

from app.core.secrets import Secrets
from app.core.settings import Settings
from app.core.tokens import Sealer, Served
from app.up.stack import Stack

TOKENS, BATCH = 1_200, 100
NOW = datetime.now(UTC)


def stream(sealer: Sealer, phase: int) -> list[dict[str, Any]]:
    """One funnel a token, four tokens a unit; every third token is clicked, every sixth converts."""
    events = []
    for i in range(TOKENS):
        at = NOW - 2 * HOUR + timedelta(seconds=i)
        unit = f"单元-{i // 4}"
        served = Served(
            digest(f"kill {i}"), digest(unit), digest("text"), phase, (i // 4) % 2, 1, 1, int(at.timestamp() * 1000)
        )
        events += a_funnel(sealer.seal(served), at, clicked=i % 3 == 0, converted=i % 6 == 0)
    return events


def sent(client: httpx.Client, batch: list[dict[str, Any]]) -> bool:
    try:
        answer = client.post("/events", json={"events": batch})
    except httpx.TransportError:
        return False
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 200


@pytest.mark.slow
def test_a_killed_server_loses_no_acknowledged_event_and_counts_none_twice(settings: Settings):
    with Stack(settings.model_copy(update={"port": 0, "rate_per_second": 1e6})) as stack:
        bearer = {scope: {"Authorization": f"Bearer {stack.keys[scope]}"} for scope in ("events", "ops", "report")}
        with httpx.Client(base_url=stack.url, headers=bearer["ops"], trust_env=False, timeout=60) as ops:
            arms = [{"name": name, "policy": "champion"} for name in ("control", "treatment")]
            ops.post("/experiments", json={"name": "kill", "arms": arms, "window_hours": 24}).raise_for_status()
            ops.post("/experiments/kill/start").raise_for_status()
        with psycopg.connect(settings.database_url) as connection:
            (phase,) = connection.execute("SELECT max(id) FROM phases").fetchone() or (0,)
        once = stream(Sealer(Secrets.load(settings.secrets_path).tokens), phase)
        events = once * 3
        random.Random(7).shuffle(events)
        batches = [events[i : i + BATCH] for i in range(0, len(events), BATCH)]
        acknowledged: set[str] = set()
        half_way = Event()

        def send() -> None:
            patient = httpx.HTTPTransport(retries=12)  # backs off while the server is away
            with httpx.Client(base_url=stack.url, headers=bearer["events"], transport=patient, timeout=60) as client:
                for number, batch in enumerate(batches):
                    while not sent(client, batch):
                        continue
                    acknowledged.update(event["event_id"] for event in batch)
                    if number == len(batches) // 3:
                        half_way.set()

        with ThreadPoolExecutor(1) as sender:
            sending = sender.submit(send)
            half_way.wait(60)
            stack.api.kill()
            stack.api.start()
            stack.api.wait_ready(60)
            sending.result()
        with psycopg.connect(settings.database_url) as connection:
            let_days_pass(connection, 3)
        as_of = NOW.isoformat()
        with httpx.Client(base_url=stack.url, headers=bearer["report"], trust_env=False, timeout=60) as client:
            report = client.get("/experiments/kill/report", params={"as_of": as_of}).raise_for_status().json()
            assert client.post("/events", json={"events": once[:1000]}, headers=bearer["events"]).status_code == 200
            again = client.get("/experiments/kill/report", params={"as_of": as_of}).raise_for_status().json()
        with psycopg.connect(settings.database_url) as connection:
            stored = {row[0] for row in connection.execute("SELECT event_id FROM events")}
    assert stored == acknowledged == {event["event_id"] for event in once}
    assert [(arm["units"], arm["impressions"], arm["clicks"], arm["conversions"]) for arm in report["arms"]] == [
        (150, 600, 200, 100)
    ] * 2
    assert again == report
