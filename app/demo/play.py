"""The days of the demonstration: people ask for ads, see them, click and order, through `/generate` and `/events` only.

What they did is counted here as well, so that the report can be compared with it.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import httpx

from app.demo.people import BOT_CLICK_S, RETURNS, Person, chances, crowd, order_delay_h

EXPERIMENT = "demo"
WINDOW_HOURS = 24
HOURS_A_STEP = 4
AT_ONCE = 8  # requests on the way
BATCH = 500  # events
AFTER_DAYS = 3  # after the last visit, until every impression is mature: window and allowance for late events
_WAKING = (8, 22)  # hours of the day in which people search


@dataclass(frozen=True)
class Plan:
    """How many people, over how many days, with which seed."""

    people: int = 6000
    days: int = 9
    seed: int = 0


@dataclass
class Tally:
    """What the people of one arm did, and what was to be expected of them; bots are left out."""

    impressions: int = 0
    clicks: int = 0
    orders: int = 0  # all of them, late ones too
    expected: float = 0.0  # Σ P(click) · P(order | click)
    sources: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # why a text was not the policy's own


@dataclass(order=True)
class _Due:
    at: datetime
    number: int
    event: Mapping[str, Any] = field(compare=False)


class Play:
    """Runs a plan against a service. `move` sets the service's clock and waits until it is set."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        keys: Mapping[str, str],
        plan: Plan,
        move: Callable[[datetime], Awaitable[object]],
    ) -> None:
        self._http, self._keys, self._plan, self._move = http, keys, plan, move
        self._rng = random.Random(plan.seed)
        self._due: list[_Due] = []
        self._numbers = count()
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.rejected: Counter[str] = Counter()

    async def run(
        self, briefs: list[Mapping[str, Any]], begins: datetime, told: Callable[[float], None] = lambda share: None
    ) -> None:
        """Play all days; `told` hears the share that is done. RuntimeError where the service refuses a request."""
        visits = self._visits(crowd(self._plan.people, briefs, self._rng), begins)
        step, end = timedelta(hours=HOURS_A_STEP), begins + timedelta(days=self._plan.days + AFTER_DAYS)
        now, done, total = begins, 0, len(visits)
        while now < end:
            now += step
            await self._move(now)
            batch = []
            while done < total and visits[done][0] <= now:
                batch.append(visits[done])
                done += 1
            await self._visit(batch, now)
            await self._send(now)
            told(done / total if done < total else 1.0)
        await self._send(now, everything=True)

    def _visits(self, people: list[Person], begins: datetime) -> list[tuple[datetime, Person]]:
        """When each person searches: once, and perhaps again on following days."""
        found: list[tuple[datetime, Person]] = []
        for person in people:
            day = self._rng.randrange(self._plan.days)
            while True:
                hour = self._rng.uniform(*_WAKING)
                found.append((begins + timedelta(days=day, hours=hour), person))
                day += 1
                if day >= self._plan.days or self._rng.random() >= RETURNS:
                    break
        return sorted(found, key=lambda visit: (visit[0], visit[1].unit))

    async def _visit(self, batch: list[tuple[datetime, Person]], now: datetime) -> None:
        """Everyone of the batch asks for an ad and looks at it. One person's visits keep their order."""
        room = asyncio.Semaphore(AT_ONCE)

        async def ask(person: Person) -> Any:
            async with room:
                body = {"brief": person.brief, "platform": "google_rsa", "unit_id": person.unit, "deadline_ms": 2000}
                return await self._post("/generate", "generate", body)

        answers = await asyncio.gather(*(ask(person) for _, person in batch))
        for (_, person), answer in zip(batch, answers, strict=True):
            if answer["texts"] and answer["experiment"] == EXPERIMENT:
                self.tallies[answer["arm"]].reasons[answer["reason"] or "none"] += 1
                self._look(person, answer["texts"][0], answer["arm"], now)

    def _look(self, person: Person, text: Mapping[str, Any], arm: str, now: datetime) -> None:
        """See the text, and perhaps click and order; the events are kept until their time has come."""
        seen = now + timedelta(seconds=self._rng.uniform(0.2, 1.5))
        self._happens(seen, "impression", text["token"])
        if person.bot:
            self._happens(seen + timedelta(seconds=BOT_CLICK_S), "click", text["token"])
            return
        click, order = chances(person, text)
        person.seen[text["title"]] += 1
        tally = self.tallies[arm]
        tally.impressions += 1
        tally.expected += click * order
        tally.sources[text["source"]] += 1
        if self._rng.random() < click:
            clicked = seen + timedelta(seconds=self._rng.uniform(1.5, 30))
            self._happens(clicked, "click", text["token"])
            tally.clicks += 1
            if self._rng.random() < order:
                self._happens(clicked + timedelta(hours=order_delay_h(self._rng)), "conversion", text["token"])
                tally.orders += 1

    def _happens(self, at: datetime, kind: str, token: str) -> None:
        number = next(self._numbers)
        event = {"event_id": f"demo-{number}", "kind": kind, "token": token, "occurred_at": at.isoformat()}
        heapq.heappush(self._due, _Due(at, number, event))

    async def _send(self, now: datetime, *, everything: bool = False) -> None:
        """Send the events whose time has come. What happens after the last day is never seen."""
        while self._due and self._due[0].at <= now + timedelta(minutes=1):
            batch: list[Mapping[str, Any]] = []
            while self._due and self._due[0].at <= now + timedelta(minutes=1) and len(batch) < BATCH:
                batch.append(heapq.heappop(self._due).event)
            answer = await self._post("/events", "events", {"events": batch})
            self.rejected.update(row["reason"] for row in answer["answers"] if row["status"] == "rejected")
        if everything:
            self._due.clear()

    async def _post(self, path: str, scope: str, body: Mapping[str, Any]) -> Any:
        answer = await self._http.post(path, json=body, headers={"Authorization": f"Bearer {self._keys[scope]}"})
        if not answer.is_success:
            raise RuntimeError(f"POST {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()
