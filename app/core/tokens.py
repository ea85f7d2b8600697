"""Serving tokens: the facts of one served text, encrypted and authenticated.

Layout: base64url( key id (1) ‖ nonce (12) ‖ AES-256-GCM( payload (66) ) ‖ tag (16) ), 127 characters without padding.
The key id is authenticated as associated data. A token carries everything that attribution needs, so that a lost
serving row never loses an event.
"""

from __future__ import annotations

import os
import struct
from base64 import urlsafe_b64encode
from binascii import a2b_base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PAYLOAD = struct.Struct(">16s16s16sIBIBQ")  # serve id, unit, text, phase, arm, policy, source, served at in ms
_LENGTH = 1 + 12 + _PAYLOAD.size + 16
TOKEN_CHARS = -(-_LENGTH * 4 // 3)
_PADDING = "=" * (-TOKEN_CHARS % 4)
# the spare bits of the last character must be zero: another spelling of the same bytes counts as altered
_LAST = "AEIMQUYcgkosw048"


class TokenError(ValueError):
    """The name of the rule that a token breaks."""

    reason = "invalid_token"


class ForgedToken(TokenError):
    reason = "forged_token"


class UnknownTokenKey(TokenError):
    reason = "unknown_token_key"


class ExpiredToken(TokenError):
    reason = "expired_token"


@dataclass(frozen=True, slots=True)
class Served:
    """One text handed to one unit. phase_id 0: outside any experiment."""

    serve_id: bytes
    unit: bytes
    text_id: bytes
    phase_id: int
    arm: int
    policy_id: int
    source: int
    served_ms: int

    @property
    def uuid(self) -> UUID:
        return UUID(bytes=self.serve_id)

    @property
    def served_at(self) -> datetime:
        return datetime.fromtimestamp(self.served_ms / 1000, UTC)


class Sealer:
    """Seals and opens tokens with the deployment's token keys (newest first)."""

    def __init__(self, keys: tuple[tuple[int, bytes], ...]) -> None:
        self._ciphers = {number: AESGCM(key) for number, key in keys}
        self._current = bytes([keys[0][0]])
        self._cipher = self._ciphers[keys[0][0]]

    def seal(self, served: Served) -> str:
        payload = _PAYLOAD.pack(
            served.serve_id,
            served.unit,
            served.text_id,
            served.phase_id,
            served.arm,
            served.policy_id,
            served.source,
            served.served_ms,
        )
        nonce = os.urandom(12)
        return (
            urlsafe_b64encode(self._current + nonce + self._cipher.encrypt(nonce, payload, self._current))
            .rstrip(b"=")
            .decode()
        )

    def open(self, token: str) -> Served:
        """The serving that a token stands for. Raises a subclass of TokenError for an invalid token. `expire` checks
        the age.
        """
        if len(token) != TOKEN_CHARS or token[-1] not in _LAST or "+" in token or "/" in token:
            raise ForgedToken(
                f"it is not the {TOKEN_CHARS} characters of a token of ours: send it back exactly as it was given"
            )
        try:
            raw = a2b_base64(token.replace("-", "+").replace("_", "/") + _PADDING, strict_mode=True)
        except ValueError as error:
            raise ForgedToken("the token is not base64url: send it back exactly as /generate gave it") from error
        cipher = self._ciphers.get(raw[0])
        if cipher is None:
            raise UnknownTokenKey(f"the token was sealed with key {raw[0]}, which is no longer in use")
        try:
            payload = cipher.decrypt(raw[1:13], raw[13:], raw[:1])
        except InvalidTag as error:
            raise ForgedToken("the token was altered or was not issued here: its signature is invalid") from error
        return Served(*_PAYLOAD.unpack(payload))


def expire(served: Served, now: datetime, window: timedelta, lateness: timedelta) -> None:
    """Refuse a token that is too old for any of its events to count: served + window + lateness < now."""
    expires = served.served_at + window + lateness
    if expires < now:
        raise ExpiredToken(
            f"the token expired at {expires:%Y-%m-%dT%H:%M:%SZ}: its attribution window of {window} and {lateness} "
            "for late events is over"
        )
