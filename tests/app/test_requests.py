"""What the guardrails know of requests: counted with the serving log, to within five per cent in latency."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from counting import digest
from hypothesis import given
from hypothesis import strategies as st

from abtest.events import Source
from app.store.requests import Requests, count_requests, latency_step, requests_of
from app.store.servings import ServingRow

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
A_ROW = ServingRow(
    digest("s"),
    int(AT.timestamp() * 1000),
    "r",
    digest("u"),
    1,
    0,
    digest("t"),
    1,
    Source.POOL,
    0,
    "跑鞋",
    "zh-CN",
    "baidu_search",
    12.0,
)


@dataclass
class Counted:
    source: int
    latency: int
    requests: int


@given(st.lists(st.floats(0.02, 60_000), min_size=1, max_size=60), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_latency_quantile_is_kept_to_within_five_per_cent(latencies, quantile):
    found = Requests([Counted(Source.POOL, latency_step(latency), 1) for latency in latencies]).latency_ms(quantile)
    exact = sorted(latencies)[max(0, -int(-quantile * len(latencies) // 1) - 1)]
    assert found == pytest.approx(exact, rel=0.0501)


async def test_an_answer_counts_once_however_many_texts_it_holds(app):
    rows = [
        A_ROW,
        A_ROW._replace(position=1),  # the second text of the same answer
        A_ROW._replace(source=Source.TEMPLATE, latency_ms=80.0),
        A_ROW._replace(source=Source.NONE, text_id=None),
        A_ROW._replace(arm=1),
        A_ROW._replace(phase_id=0),  # outside any experiment
        A_ROW._replace(at_ms=A_ROW.at_ms + 86_400_000),  # the day after
    ]
    async with app.state.container.database.begin() as connection:
        await count_requests(connection, rows[:3])
        await count_requests(connection, rows[3:])
        found = await requests_of(connection, 1, AT.date())
    control = found[0]
    assert (control.total, control.without_text, control.fallback, found[1].total) == (3, 1, 1, 1)
    assert control.latency_ms(0.95) == pytest.approx(80.0, rel=0.05)


def test_without_requests_there_is_no_latency():
    assert Requests([]).latency_ms(0.95) is None
