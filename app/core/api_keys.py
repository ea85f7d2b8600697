"""API keys: their scopes, how a key is created, and how it is stored.

A key is `rk_<8 readable characters>_<43 base64url characters>`. Only its SHA-256 is stored: 256 random bits need
neither a salt nor a slow hash.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal, get_args

Scope = Literal["generate", "events", "report", "review", "ops", "admin"]
SCOPES: tuple[str, ...] = get_args(Scope)
PAGE_SCOPES = frozenset({"report", "review", "ops", "admin"})  # what people do; the other two are done by ad systems
# what a key of one advertiser may have: the others show or change what belongs to all advertisers
ADVERTISER_SCOPES = frozenset({"generate", "events", "review"})

_READABLE = "23456789abcdefghjkmnpqrstuvwxyz"  # no 0/o, 1/i/l


def new_key() -> tuple[str, str]:
    """A fresh key and its readable prefix, which is all that lists and logs ever show of it."""
    prefix = "rk_" + "".join(secrets.choice(_READABLE) for _ in range(8))
    return f"{prefix}_{secrets.token_urlsafe(32)}", prefix


def digest_of(key: str | bytes) -> bytes:
    return hashlib.sha256(key.encode() if isinstance(key, str) else key).digest()
