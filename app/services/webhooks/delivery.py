"""Tells other systems of decisions of gate, canary, promotion and rollback: signed, and tried again with back-off."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import func

from app.core.settings import Settings
from app.policies.addresses import CheckedTransport, is_inside, is_reserved
from app.services.webhooks.signature import headers
from app.store import webhooks as store
from app.store.database import Database

log = logging.getLogger(__name__)

FRESH = timedelta(days=1)
TIMEOUT_S = 10.0
LEASE = timedelta(seconds=60)  # an attempt that takes longer is taken over by another worker
BACK_OFF = tuple(timedelta(seconds=30 * 4**number) for number in range(7))  # 30 s, 2 min, 8 min, … 34 h: two days


class Webhooks:
    """Sends what is due, to the addresses of the settings."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._urls = settings.webhook_urls
        self._secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT_S,
            transport=CheckedTransport(
                verify=True,
                limits=httpx.Limits(max_connections=1),
                refused=is_reserved if settings.webhook_private else is_inside,
            ),
            trust_env=False,
        )

    async def deliver(self) -> dict[str, int]:
        """One attempt at each delivery that is due; how many were delivered, failed, and are given up."""
        done = {"delivered": 0, "failed": 0, "given up": 0}
        async with self._database.begin() as connection:
            await store.add_unsent(connection, self._urls, FRESH)
        while True:
            async with self._database.begin() as connection:
                row = await store.claim(connection, self._urls, LEASE)
            if row is None:
                return done
            done[await self._attempt(row)] += 1

    async def close(self) -> None:
        await self._http.aclose()

    async def _attempt(self, row: Any) -> str:
        error = await self._send(row)
        left = row.attempts <= len(BACK_OFF)
        values: dict[str, Any]
        if error is None:
            outcome, values = "delivered", {"delivered_at": func.now(), "ended_at": func.now(), "error": None}
        elif left:
            outcome, values = "failed", {"due_at": func.now() + BACK_OFF[row.attempts - 1], "error": error}
        else:
            outcome, values = "given up", {"ended_at": func.now(), "error": error}
        async with self._database.begin() as connection:
            await store.change(connection, row.audit_id, row.url, **values)
        if error is not None:
            log.warning(
                "a webhook was not delivered",
                extra={"decision": row.action, "attempt": row.attempts, "again": left, "error": error},
            )
        return outcome

    async def _send(self, row: Any) -> str | None:
        """None where the receiver took it, else why not. Its answer is not read."""
        body = json.dumps(message(row), ensure_ascii=False).encode()
        signed = headers(self._secret, message_id(row), datetime.now(UTC), body)
        try:
            async with self._http.stream("POST", row.url, content=body, headers=signed) as answer:
                return None if answer.is_success else f"it answered {answer.status_code}"
        except (httpx.HTTPError, httpx.StreamError) as error:
            return f"{type(error).__name__}: {error}"[:400]


def message_id(row: Any) -> str:
    """The same over all attempts and addresses: receivers drop what they have by it."""
    return f"relate_{row.audit_id}"


def message(row: Any) -> dict[str, Any]:
    """What is sent about a decision: its entry in the audit log."""
    return {
        "id": message_id(row),
        "type": row.action,
        "timestamp": row.at.astimezone(UTC).isoformat(),
        "data": {"subject": row.subject, "actor": row.actor, **row.detail},
    }


async def deliver_due(settings: Settings) -> dict[str, int]:
    """`Webhooks.deliver` with a database connection of its own."""
    database = Database(settings)
    sender = Webhooks(settings, database)
    try:
        return await sender.deliver()
    finally:
        await sender.close()
        await database.close()
