"""Servings and events as tests make them: tokens sealed as the service seals them, events as ad systems send them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from unittest.mock import patch

import httpx
from fastapi import FastAPI

from app.container import Container
from app.core.tokens import Served

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_SERIAL = count(1)


def digest(name: str) -> bytes:
    """16 bytes that stand for a name: a unit, a serving, a text."""
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


@dataclass
class AdSystem:
    """Serves and reports as an ad system does, over HTTP, with tokens sealed by the service under test."""

    app: FastAPI
    client: httpx.AsyncClient
    keys: dict[str, dict[str, str]]

    @property
    def container(self) -> Container:
        container: Container = self.app.state.container
        return container

    def serve(
        self,
        unit: str = "u-1",
        *,
        phase: int = 0,
        arm: int = 0,
        at: datetime | None = None,
        text: str = "a text",
        **over: Any,
    ) -> str:
        """The token of one served text."""
        values = {
            "serve_id": digest(f"serving {next(_SERIAL)}"),
            "unit": digest(unit),
            "text_id": digest(text),
            "phase_id": phase,
            "arm": arm,
            "policy_id": 1,
            "source": 1,
            "served_ms": int((at or datetime.now(UTC)).timestamp() * 1000),
        }
        return self.container.sealer.seal(Served(**{**values, **over}))

    async def report(
        self, *events: dict[str, Any], status: int = 200, at: datetime | None = None
    ) -> list[dict[str, Any]]:
        """POST the events, at some other time than now where one is given; returns the answers."""
        with patch("app.services.events.ingest.current_time", return_value=at or datetime.now(UTC)):
            answer = await self.client.post("/events", json={"events": list(events)}, headers=self.keys["events"])
        assert answer.status_code == status, answer.text
        answers: list[dict[str, Any]] = answer.json()["answers"]
        return answers

    async def experiment(
        self, name: str = "title-test", *, start: bool = True, arms: int = 2, **over: Any
    ) -> dict[str, Any]:
        """An experiment of champion against champion, running unless told otherwise, with its phase id."""
        names = ["control", *(f"treatment-{i}" for i in range(1, arms))]
        body = {
            "name": name,
            "arms": [{"name": arm, "policy": "champion", "weight": 1} for arm in names],
            "window_hours": 24,
            **over,
        }
        answer = await self.client.post("/experiments", json=body, headers=self.keys["ops"])
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        if start:
            made = (await self.client.post(f"/experiments/{name}/start", headers=self.keys["ops"])).json()
        return {**made, "phase": self.container.state.registry.experiments[name].phase_id}

    async def read(self, name: str = "title-test", **query: Any) -> dict[str, Any]:
        """The report."""
        answer = await self.client.get(f"/experiments/{name}/report", params=query, headers=self.keys["report"])
        assert answer.status_code == 200, answer.text
        report: dict[str, Any] = answer.json()
        return report


def an_event(token: str, kind: str = "impression", at: datetime | None = None, **over: Any) -> dict[str, Any]:
    when = (at or datetime.now(UTC)).isoformat()
    return {"event_id": f"e-{next(_SERIAL)}", "kind": kind, "token": token, "occurred_at": when, **over}


def a_funnel(token: str, at: datetime, *, clicked: bool = False, converted: bool = False) -> list[dict[str, Any]]:
    """An impression, then a click a minute later, then a conversion an hour later."""
    events = [an_event(token, "impression", at)]
    if clicked or converted:
        events.append(an_event(token, "click", at + timedelta(minutes=1)))
    if converted:
        events.append(an_event(token, "conversion", at + HOUR))
    return events
