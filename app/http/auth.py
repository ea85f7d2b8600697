"""Authentication and scopes: API keys as HTTP bearer tokens, and the session cookies that visitors of pages get in
exchange for a key.

A cookie holds the key's digest and a random session id, signed. A session ends at sign-out or when its key ends. A
request has one identity: an API route reads the bearer key where one is sent, a page reads the cookie only.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from itsdangerous import BadSignature, TimestampSigner
from starlette.requests import Request, cookie_parser

from app.core.api_keys import PAGE_SCOPES, Scope, digest_of
from app.core.problems import Problem
from app.core.secrets import Secrets
from app.core.settings import Settings
from app.http.rate_limit import RateLimits
from app.runtime.state import ReplicaState
from app.store.registry import Key

COOKIE = "relate_session"
SECURE_COOKIE = f"__Host-{COOKIE}"  # browsers accept a cookie of this name only over HTTPS and only from this host
SESSION_S = 12 * 3600
CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BOOTSTRAP_CHARS = 20


def actor(key: Key) -> str:
    """The name of a key in the audit log."""
    return f"{key.name} ({key.prefix})"


def require_advertiser(key: Key, advertiser: str, field: str) -> None:
    """Refuse a request for an advertiser that the key does not cover."""
    if not key.covers(advertiser):
        raise Problem(
            403,
            "other_advertiser",
            f"key {key.prefix} is limited to advertiser {key.advertiser!r}: send only its ads, or use another key",
            field=field,
            value=advertiser,
        )


@dataclass(frozen=True, slots=True)
class Session:
    """The content of a session cookie."""

    key_digest: bytes
    id: bytes
    expires_at: datetime


class Authenticator:
    """Checks keys, signs sessions and applies the rate limits. There is one per process."""

    def __init__(self, settings: Settings, secrets: Secrets, state: ReplicaState) -> None:
        self._state = state
        self._secret = secrets.cookies
        self._https = settings.public_url.startswith("https://")
        self._signer = TimestampSigner(secrets.cookies, salt="relate.session", digest_method=hashlib.sha256)
        self.limits = RateLimits(settings.rate_per_second)
        self._bootstrap = _bootstrap(settings)
        self._bootstrap_key = Key(0, "bootstrap", "bootstrap", frozenset({"admin"}), None, None)

    def key(self, digest: bytes) -> Key | None:
        """The valid key with this digest; None when it is unknown, revoked or expired."""
        key = self._state.registry.keys.get(digest)
        if key is None:
            return self._bootstrap_key if digest == self._bootstrap else None
        return key if key.expires_at is None or key.expires_at > datetime.now(UTC) else None

    def session(self, digest: bytes) -> str:
        """A cookie for the holder of this key. An empty digest creates the cookie of a visitor: it grants nothing, and
        the sign-in form is bound to it.
        """
        return self._signer.sign(f"{digest.hex() or 'visitor'}-{secrets.token_hex(16)}").decode()

    def opened(self, cookie: str) -> Session | None:
        """The session in the cookie; None where the cookie is a visitor's, altered or expired."""
        try:
            signed, signed_at = self._signer.unsign(cookie, max_age=SESSION_S, return_timestamp=True)
            digest, session = map(bytes.fromhex, signed.decode().split("-"))
        except (BadSignature, ValueError):
            return None
        return Session(digest, session, signed_at + timedelta(seconds=SESSION_S))

    def holder(self, cookie: str) -> Key | None:
        """The key of the session; None for a visitor, for an altered, expired or signed-out cookie, and for a key that
        has ended.
        """
        session = self.opened(cookie)
        if session is None or session.id in self._state.registry.ended_sessions:
            return None
        return self.key(session.key_digest)

    def secure(self, request: Request) -> bool:
        """Whether pages are served over HTTPS."""
        return self._https or request.url.scheme == "https"

    def cookie_name(self, request: Request) -> str:
        return SECURE_COOKIE if self.secure(request) else COOKIE

    def cookie(self, request: Request) -> str:
        """The session cookie of a request; empty without one."""
        return request.cookies.get(self.cookie_name(request), "")

    def recognises(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether these headers hold a valid key or the session of one."""
        for name, value in headers:
            if name == b"authorization":
                given = _bearer([(name, value)])
                return self.key(digest_of(given)) is not None if given else False
            if name == b"cookie":
                cookies = cookie_parser(value.decode("latin-1"))
                if session := cookies.get(SECURE_COOKIE) or cookies.get(COOKIE):
                    return self.holder(session) is not None
        return False

    def csrf(self, cookie: str) -> str:
        """The token that proves that a form was rendered for this session."""
        return hmac.digest(self._secret, b"relate.csrf:" + cookie.encode(), hashlib.sha256).hex()

    def same_origin(self, cookie: str, token: object) -> bool:
        return isinstance(token, str) and hmac.compare_digest(self.csrf(cookie).encode(), token.encode())


def _bootstrap(settings: Settings) -> bytes | None:
    if settings.bootstrap_admin_key is None:
        return None
    key = settings.bootstrap_admin_key.get_secret_value()
    if len(key) < _BOOTSTRAP_CHARS:
        raise ValueError(
            f"RELATE_BOOTSTRAP_ADMIN_KEY has {len(key)} characters and needs {_BOOTSTRAP_CHARS} or more: try `openssl "
            "rand -hex 32`"
        )
    return digest_of(key)


class Require(SecurityBase):
    """A FastAPI dependency: the caller's Key, if it has one of the scopes and is within its rate limit.

    It raises 401 without a valid key, 403 without a scope (or for a change with a cookie and no CSRF token), and 429
    above the rate limit.
    """

    def __init__(self, scopes: tuple[Scope, ...]) -> None:
        self.model = HTTPBearer(
            description="An API key: `Authorization: Bearer rk_…`. Pages use a session cookie instead."
        )
        self.scheme_name = "key"
        self.scopes = scopes
        self._enough = frozenset(scopes) | {"admin"}
        self._cookie = not PAGE_SCOPES.isdisjoint(scopes)

    async def __call__(self, request: Request) -> Key:
        given = _bearer(request.scope["headers"])
        if given is None and self._cookie:
            return await self.by_cookie(request)
        authenticator: Authenticator = request.app.state.authenticator
        return self._admit(request, authenticator.key(digest_of(given)) if given else None, given)

    async def by_cookie(self, request: Request) -> Key:
        """The Key of the session cookie, under the same conditions. A bearer key in the same request is not read."""
        authenticator: Authenticator = request.app.state.authenticator
        cookie = authenticator.cookie(request)
        key = authenticator.holder(cookie)
        if key and request.method not in _SAFE and not authenticator.same_origin(cookie, await csrf_token(request)):
            raise Problem(
                403,
                "csrf",
                f"a change made with a session cookie needs its CSRF token, in {CSRF_HEADER} or the form",
            )
        return self._admit(request, key, None)

    def _admit(self, request: Request, key: Key | None, given: bytes | None) -> Key:
        if key is None:
            raise _unauthenticated(given)
        request.scope["key_prefix"] = key.prefix  # for the access log
        if self._enough.isdisjoint(key.scopes):
            raise _forbidden(key, self.scopes)
        authenticator: Authenticator = request.app.state.authenticator
        wait = authenticator.limits.take(key.id, key.rate_per_second)
        if wait > 0:
            raise _too_many(key, wait)
        return key


def require(*scopes: Scope) -> Require:
    """`key: Annotated[Key, Depends(require("report"))]`: one of the scopes is enough; `admin` has all scopes."""
    return Require(scopes)


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    for name, value in headers:
        if name == b"authorization":
            return value[7:].strip() if value[:7].lower() == b"bearer " else b""
    return None


async def csrf_token(request: Request) -> object:
    """The CSRF token of the request: the header, else the form field."""
    if header := request.headers.get(CSRF_HEADER):
        return header
    if request.headers.get("content-type", "").startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return (await request.form()).get(CSRF_FIELD)
    return None


def _unauthenticated(given: bytes | None) -> Problem:
    if given is None:
        detail, challenge = "this needs an API key: send `Authorization: Bearer rk_…`", 'Bearer realm="relate"'
    else:
        detail, challenge = (
            "the key is unknown, expired or revoked: ask an admin for a new one",
            'Bearer realm="relate", error="invalid_token"',
        )
    return Problem(401, "unauthenticated", detail, headers={"WWW-Authenticate": challenge})


def _forbidden(key: Key, scopes: tuple[Scope, ...]) -> Problem:
    needed = " or ".join(scopes)
    return Problem(
        403,
        "missing_scope",
        f"key {key.prefix} has scope {', '.join(sorted(key.scopes))}; this needs {needed}: ask an admin for a key "
        "with it",
        headers={"WWW-Authenticate": f'Bearer realm="relate", error="insufficient_scope", scope="{" ".join(scopes)}"'},
    )


def _too_many(key: Key, wait: float) -> Problem:
    return Problem(
        429,
        "rate_limit",
        f"key {key.prefix} is over its rate: try again in {wait:.2f} s, or ask an admin for a higher rate",
        headers={"Retry-After": str(ceil(wait))},
    )
