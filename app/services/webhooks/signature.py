"""How a webhook is signed, by the Standard Webhooks specification. The receiver's half is in docs/operations.md."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """v1, and the base64 of HMAC-SHA256(secret, id + "." + timestamp + "." + body)."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def headers(secret: str, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The headers of one attempt. The id stays the same over all attempts; the timestamp is the attempt's."""
    timestamp = int(now.timestamp())
    return {
        "content-type": "application/json",
        "user-agent": "relate-webhook/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message_id, timestamp, body),
    }
