"""Webhooks: decisions are sent once, signed, tried again with back-off, and never into the deployment's own network."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from registering import answers, move, registered
from service import Database as Plain

from app.core.settings import Settings
from app.jobs.schedules import Schedules
from app.policies.addresses import is_inside
from app.services.webhooks.delivery import BACK_OFF, deliver_due
from app.store.audit import record
from app.store.database import Database

SECRET = "a secret of the receiver: 密钥 鍵"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


class Receiver:
    """A system that is told of decisions."""

    def __init__(self) -> None:
        self.status, self.calls, self.url = 204, list[tuple[dict[str, str], bytes]](), ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
        signature = re.search(r"webhook-signature: (\S+)", head, re.I)
        headers["webhook-signature"] = signature[1] if signature else ""
        self.calls.append((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(f"HTTP/1.1 {self.status} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Receiver]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        try:
            yield self
        finally:
            server.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().running() as made:
        yield made


def configured(settings: Settings, url: str, *, private: bool = True) -> Settings:
    return settings.replaced(webhook_urls=(url,), webhook_secret=SECRET, webhook_private=private)


async def decide(settings: Settings, action: str = "gate.pass", **detail: Any) -> None:
    database = Database(settings)
    async with database.begin() as connection:
        await record(connection, "a test", action, "policy:relate-1", **detail)
    await database.close()


def verify() -> Any:
    """The function of docs/operations.md that a receiver checks with."""
    (snippet,) = re.findall(r"```python\n(.*?)```", OPERATIONS.read_text(encoding="utf-8"), re.S)
    module: dict[str, Any] = {}
    exec(snippet, module)
    return module["verify"]


async def test_a_promotion_is_told_with_a_signature_that_the_documented_snippet_accepts(
    client: Any, bearer: Any, upstream: Any, settings: Settings, receiver: Receiver
) -> None:
    upstream.answer = answers
    client.headers.update(await bearer("ops"))
    version = await registered(client, endpoint=None)
    reason = "模型写得更好, 日本語も確認した"
    await move(client, "champion", action="promote", version=version, override_reason=reason)
    await move(client, "champion", action="rollback")
    chosen = configured(settings, receiver.url)
    assert await deliver_due(chosen) == {"delivered": 2, "failed": 0, "given up": 0}
    assert (await deliver_due(chosen))["delivered"] == 0
    (headers, body), (_, later) = receiver.calls
    assert verify()(SECRET, headers, body)
    told = json.loads(body)
    assert (told["type"], told["id"]) == ("policy.promote.champion", headers["webhook-id"])
    assert told["data"]["override_reason"] == reason and told["data"]["after"]["champion"] == version
    assert json.loads(later)["type"] == "policy.rollback"


async def test_what_was_changed_or_is_old_does_not_verify(settings: Settings, keys: object, receiver: Receiver) -> None:
    await decide(settings)
    await deliver_due(configured(settings, receiver.url))
    ((headers, body),) = receiver.calls
    old = headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 600)}
    assert verify()(SECRET, headers, body)
    for secret, given, content in (
        (SECRET, headers, body + b" "), ("another secret", headers, body), (SECRET, old, body),
        (SECRET, headers | {"webhook-id": "relate_9"}, body), (SECRET, headers | {"webhook-signature": "v1,"}, body),
    ):  # fmt: skip
        assert not verify()(secret, given, content)


@pytest.mark.parametrize("action", ["gate.fail", "canary.pause", "policy.promote.champion", "policy.rollback"])
async def test_every_decision_is_told_and_nothing_else(
    settings: Settings, keys: object, receiver: Receiver, action: str
) -> None:
    await decide(settings, "key.revoke")
    await decide(settings, "policy.register")
    await decide(settings, action, reason="回退")
    await deliver_due(configured(settings, receiver.url))
    assert [json.loads(body)["type"] for _, body in receiver.calls] == [action]


@pytest.mark.parametrize("status", [500, 404, 301])
async def test_a_receiver_that_fails_is_tried_again_with_back_off_and_given_up_in_the_end(
    settings: Settings, database: Plain, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    await decide(settings)
    chosen = configured(settings, receiver.url)
    for attempt, wait in enumerate(BACK_OFF, start=1):
        assert (await deliver_due(chosen))["failed"] == 1
        assert (await deliver_due(chosen))["failed"] == 0  # not yet
        attempts, left = database.execute("SELECT attempts, due_at - now() FROM webhook_deliveries").fetchone() or ()
        assert attempts == attempt and timedelta(0) < wait - left < timedelta(minutes=1)
        database.execute("UPDATE webhook_deliveries SET due_at = now()")
    assert (await deliver_due(chosen))["given up"] == 1
    database.execute("UPDATE webhook_deliveries SET due_at = now()")
    assert sum((await deliver_due(chosen)).values()) == 0 and len(receiver.calls) == len(BACK_OFF) + 1
    assert len({headers["webhook-id"] for headers, _ in receiver.calls}) == 1


async def test_a_receiver_that_recovers_gets_what_it_missed(
    settings: Settings, database: Plain, receiver: Receiver
) -> None:
    receiver.status = 503
    await decide(settings)
    await deliver_due(configured(settings, receiver.url))
    receiver.status = 200
    database.execute("UPDATE webhook_deliveries SET due_at = now()")
    assert (await deliver_due(configured(settings, receiver.url)))["delivered"] == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "2130706433"])
async def test_nothing_is_sent_to_a_private_address_whatever_it_is_called(
    settings: Settings, database: Plain, receiver: Receiver, host: str
) -> None:
    await decide(settings)
    url = f"https://{host}:{receiver.url.rsplit(':', 1)[1]}"
    assert (await deliver_due(configured(settings, url, private=False)))["failed"] == 1
    (error,) = database.execute("SELECT error FROM webhook_deliveries").fetchone() or ()
    assert error.startswith("ReservedAddress") or "ConnectError" in error, error
    assert "an address that is refused here" in error and receiver.calls == []


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.0.0.1", True), ("192.168.1.1", True), ("172.16.0.1", True), ("100.64.0.1", True), ("127.0.0.1", True),
        ("0.0.0.0", True), ("169.254.169.254", True), ("::1", True), ("fd00::1", True), ("fe80::1", True),
        ("::ffff:10.0.0.1", True), ("64:ff9b::a00:1", True), ("8.8.8.8", False), ("2606:4700::1111", False),
    ],
)  # fmt: skip
def test_only_public_addresses_are_outside(address: str, inside: bool) -> None:
    assert is_inside(ip_address(address)) is inside


async def test_an_address_that_is_set_today_does_not_get_the_history(
    settings: Settings, database: Plain, receiver: Receiver
) -> None:
    await decide(settings)
    database.execute("UPDATE audit_log SET at = now() - interval '2 days'")
    assert sum((await deliver_due(configured(settings, receiver.url))).values()) == 0


async def test_the_schedules_start_a_job_when_something_is_due_and_only_then(
    settings: Settings, database: Plain, receiver: Receiver
) -> None:
    chosen = configured(settings, receiver.url).replaced(retention_cron="", backup_cron="")
    service = Database(chosen)
    schedules = Schedules(chosen, service)

    async def jobs() -> int:
        await schedules.look()
        return int((database.execute("SELECT count(*) FROM jobs WHERE kind = 'webhooks'").fetchone() or (0,))[0])

    assert await jobs() == 0
    await decide(settings)
    assert await jobs() == 1 and await jobs() == 1
    await deliver_due(chosen)
    database.execute("UPDATE jobs SET state = 'succeeded', identity = NULL")
    assert await jobs() == 1
    await service.close()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"webhook_urls": "https://hooks.example/a"}, "webhooks are always signed"),
        ({"webhook_urls": "http://hooks.example/a", "webhook_secret": SECRET}, "write https addresses"),
        ({"webhook_urls": "ftp://hooks.example", "webhook_secret": SECRET, "webhook_private": True}, "https addresses"),
        ({"webhook_urls": "https://hooks.example/a", "webhook_secret": "short"}, "at least 24"),
    ],
)
def test_settings_that_would_send_unsigned_or_in_clear_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(**given)


def test_a_child_process_reads_the_same_addresses() -> None:
    chosen = Settings(webhook_urls=("https://a.example", "https://b.example"), webhook_secret=SECRET)
    environment = chosen.environment()
    assert environment["RELATE_WEBHOOK_URLS"] == "https://a.example,https://b.example"
    assert environment["RELATE_WEBHOOK_SECRET"] == SECRET
    assert SECRET not in repr(chosen)
