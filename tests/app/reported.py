"""Experiments filled with impressions, clicks and conversions for the tests of reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from counting import DAY, HOUR, AdSystem, a_funnel

NOW = datetime.now(UTC)
SHOWN = NOW - 2 * HOUR  # impressions of the tests; their tokens are fresh
MATURE = (SHOWN + 24 * HOUR + DAY + HOUR).isoformat()  # when they are mature
LATER = SHOWN + 4 * DAY  # whole days of mature impressions


async def fill(
    ad_system: AdSystem,
    phase: int,
    *,
    units: tuple[int, int],
    converted: tuple[int, int],
    impressions: int = 1,
    days: int = 1,
    at: datetime = SHOWN,
    prefix: str = "u",
) -> None:
    """Units of each arm with so many impressions each, on the days up to `at`; the first ones convert once, and every
    third one clicks.
    """
    events: list[dict[str, Any]] = []
    for arm in (0, 1):
        for i in range(units[arm]):
            for n in range(impressions):
                moment = at - timedelta(days=i % days, seconds=n)
                first = n == 0
                token = ad_system.serve(f"{prefix}-{arm}-{i}", phase=phase, arm=arm, at=moment)
                events += a_funnel(token, moment, clicked=first and i % 3 == 0, converted=first and i < converted[arm])
    for start in range(0, len(events), 1000):
        answers = await ad_system.report(*events[start : start + 1000])
        assert {answer["status"] for answer in answers} == {"accepted"}
