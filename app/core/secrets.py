"""The secrets of a deployment: the key of the HMAC of unit ids, and the keys that seal tokens (two at a time, for
rotation).

Without the file, no unit can be matched to its history and no token can be opened: it is part of the backup.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from trainer.durable import write_text


class SecretsError(RuntimeError):
    """The secrets file is missing, unreadable or invalid."""


@dataclass(frozen=True)
class Secrets:
    unit: bytes  # 32 bytes; never rotated: rotation would make every unit a new one
    tokens: tuple[tuple[int, bytes], ...]  # (key id 0–255, 32 bytes), newest first; the first seals, all open
    cookies: bytes  # 32 bytes

    @classmethod
    def generate(cls) -> Secrets:
        return cls(
            unit=secrets.token_bytes(32), tokens=((1, secrets.token_bytes(32)),), cookies=secrets.token_bytes(32)
        )

    @classmethod
    def load(cls, path: Path) -> Secrets:
        try:
            raw = json.loads(path.read_text())
            return cls(
                unit=bytes.fromhex(raw["unit"]),
                tokens=tuple((int(key["id"]), bytes.fromhex(key["key"])) for key in raw["tokens"]),
                cookies=bytes.fromhex(raw["cookies"]),
            )
        except FileNotFoundError as error:
            raise SecretsError(
                f"no secrets at {path}: run `relate up` once, restore them from a backup, or set RELATE_SECRETS_FILE"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise SecretsError(f"{path} is not a secrets file ({error}): restore it from a backup") from error

    def save(self, path: Path) -> None:
        """Write the file atomically, readable only by its owner."""
        path.parent.mkdir(parents=True, exist_ok=True)
        body = {
            "unit": self.unit.hex(),
            "tokens": [{"id": number, "key": key.hex()} for number, key in self.tokens],
            "cookies": self.cookies.hex(),
        }
        write_text(path, json.dumps(body), private=True)

    def rotated(self) -> Secrets:
        """A new sealing key comes first. The previous key still opens tokens."""
        number = (self.tokens[0][0] + 1) % 256
        return Secrets(unit=self.unit, tokens=((number, secrets.token_bytes(32)), self.tokens[0]), cookies=self.cookies)

    def unit_digest(self, unit_id: str) -> bytes:
        """HMAC-SHA256(unit secret, unit id), first 16 bytes. A unit is stored and returned only in this form."""
        return hmac.digest(self.unit, unit_id.encode(), hashlib.sha256)[:16]
