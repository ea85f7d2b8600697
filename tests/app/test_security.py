"""Who may call what: keys, scopes, rates, sessions."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import MappingProxyType, SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from hypothesis import given
from hypothesis import strategies as st

from app.core import problems as errors
from app.core.api_keys import SCOPES, digest_of, new_key
from app.core.secrets import Secrets
from app.core.settings import Settings
from app.http.auth import COOKIE, CSRF_HEADER, Authenticator, require
from app.pages.frame import Viewer, viewer
from app.pages.session import router as session_router
from app.store.registry import Key

SECRETS = Secrets.generate()
BOOTSTRAP = "an-admin-key-for-an-empty-installation"


class Installation:
    """A authenticator before a registry of the test's own, and a small application behind it."""

    def __init__(self, **settings: Any) -> None:
        self.keys: dict[bytes, Key] = {}
        live: Any = SimpleNamespace(
            registry=SimpleNamespace(keys=MappingProxyType(self.keys), ended_sessions=frozenset())
        )
        chosen = Settings(**settings)
        self.authenticator = Authenticator(chosen, SECRETS, live)
        self.app = FastAPI()
        errors.install(self.app)
        self.app.state.container = SimpleNamespace(settings=chosen)
        self.app.state.authenticator = self.authenticator
        for scope in SCOPES:  # before the session's routes, which lead `/review` to its page
            self._route(scope)
        self.app.include_router(session_router)

    def _route(self, scope: Any) -> None:
        @self.app.get(f"/{scope}")
        @self.app.post(f"/{scope}")
        async def read(key: Key = Depends(require(scope))) -> str:
            return key.name

        @self.app.get(f"/pages/{scope}")
        async def page(who: Viewer = Depends(viewer(scope))) -> str:
            return who.csrf

    def key(self, *scopes: str, rate: float | None = None, expires_at: datetime | None = None) -> str:
        secret, prefix = new_key()
        number = len(self.keys) + 1
        self.keys[digest_of(secret)] = Key(number, f"key {number}", prefix, frozenset(scopes), rate, expires_at)
        return secret

    def client(self, base: str = "http://relate.test") -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url=base)


SHARED = Installation()


@pytest.fixture
def installation() -> Installation:
    return Installation()


@pytest.fixture
async def http(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    async with installation.client() as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def signed_in(http: httpx.AsyncClient, key: str, next: str = "/pages/report") -> httpx.Response:
    form = await http.get("/signin")
    return await http.post("/signin", data={"key": key, "csrf": csrf_of(form), "next": next})


def csrf_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert found
    return found[1]


# ---- keys


def test_a_key_reads_as_one():
    key, prefix = new_key()
    assert re.fullmatch(r"rk_[2-9a-z]{8}_[\w-]{43}", key)
    assert key.startswith(prefix + "_")
    assert new_key() != new_key()


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_opens_its_own_scope_and_no_other(installation, http, scope):
    key = installation.key(scope)
    answers = {other: (await http.get(f"/{other}", headers=bearer(key))).status_code for other in SCOPES}
    assert answers == {other: 200 if other == scope or scope == "admin" else 403 for other in SCOPES}


async def test_a_missing_scope_is_named(installation, http):
    refusal = await http.get("/report", headers=bearer(installation.key("generate", "events")))
    assert refusal.json()["rule"] == "missing_scope"
    assert "needs report" in refusal.json()["detail"]
    assert 'scope="report"' in refusal.headers["www-authenticate"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer rk_unknown",
        "Basic dXNlcjpwYXNz",
        "bearer",
        "Bearer 钥匙".encode(),
        "rk_abc",
        "Bearer " + "x" * 8000,
    ],
)
async def test_what_is_no_key_is_refused_and_told_what_to_send(http, header):
    refusal = await http.get("/report", headers={"Authorization": header})
    assert (refusal.status_code, refusal.json()["rule"]) == (401, "unauthenticated")
    assert refusal.headers["www-authenticate"].startswith("Bearer")
    assert refusal.headers["content-type"] == errors.MEDIA_TYPE


async def test_a_refusal_never_repeats_the_key(installation, http):
    key = installation.key("events")
    refusal = await http.get("/report", headers=bearer(key))
    assert key not in refusal.text
    assert key.split("_", 2)[2] not in refusal.text


@given(st.integers(0, 54), st.characters(min_codepoint=33, max_codepoint=126))
def test_no_other_spelling_opens_what_a_key_opens(position, character):
    key = SHARED.key("admin")
    position %= len(key)
    altered = key[:position] + character + key[position + 1 :]
    assert (SHARED.authenticator.key(digest_of(altered)) is not None) == (altered == key)


async def test_an_expired_key_is_as_good_as_none(installation, http):
    now = datetime.now(UTC)
    assert (await http.get("/report", headers=bearer(installation.key("report", expires_at=now)))).status_code == 401
    assert (
        await http.get("/report", headers=bearer(installation.key("report", expires_at=now + timedelta(hours=1))))
    ).status_code == 200


async def test_a_key_over_its_rate_is_told_when_to_come_back(installation, http):
    key = installation.key("report", rate=0.5)
    assert (await http.get("/report", headers=bearer(key))).status_code == 200
    refusal = await http.get("/report", headers=bearer(key))
    assert (refusal.status_code, refusal.json()["rule"], refusal.headers["retry-after"]) == (429, "rate_limit", "2")


async def test_the_bootstrap_key_is_an_admin_while_it_is_set(http):
    given_one = Installation(bootstrap_admin_key=BOOTSTRAP)
    async with given_one.client() as client:
        assert (await client.get("/ops", headers=bearer(BOOTSTRAP))).status_code == 200
    assert (await http.get("/ops", headers=bearer(BOOTSTRAP))).status_code == 401


def test_a_bootstrap_key_that_can_be_guessed_is_refused_at_start():
    with pytest.raises(ValueError, match="RELATE_BOOTSTRAP_ADMIN_KEY has 5 characters"):
        Installation(bootstrap_admin_key="admin")


def test_openapi_says_that_a_key_is_sent_as_a_bearer(installation):
    document = installation.app.openapi()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["paths"]["/report"]["get"]["security"] == [{"key": []}]


# ---- sessions


async def test_signing_in_exchanges_a_key_for_a_cookie_that_scripts_cannot_read(installation, http):
    answer = await signed_in(http, installation.key("report"))
    cookie = answer.headers["set-cookie"]
    assert (answer.status_code, answer.headers["location"]) == (303, "/pages/report")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age=43200" in cookie
    assert "Secure" not in cookie
    assert (await http.get("/pages/report")).status_code == 200
    assert (await http.get("/report")).status_code == 200


async def test_the_cookie_of_an_https_page_is_never_sent_in_the_clear(installation):
    async with installation.client("https://relate.test") as client:
        cookie = (await signed_in(client, installation.key("report"))).headers["set-cookie"]
        assert cookie.startswith("__Host-relate_session=")
        assert ("Secure" in cookie, "Path=/" in cookie, "Domain" in cookie) == (True, True, False)
        assert (await client.get("/pages/report")).status_code == 200


async def test_a_cookie_that_another_host_could_have_set_opens_no_https_page(installation):
    async with installation.client() as plain, installation.client("https://relate.test") as client:
        await signed_in(plain, installation.key("report"))
        client.cookies.set(COOKIE, plain.cookies[COOKIE])
        assert (await client.get("/pages/report")).status_code == 303


async def test_a_page_sends_a_stranger_to_sign_in_and_back(http):
    answer = await http.get("/pages/report?phase=2&q=跑鞋")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin?next=%2Fpages%2Freport%3Fphase%3D2")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "", "/a\nb"]
)
async def test_signing_in_leads_nowhere_but_here(installation, http, elsewhere):
    answer = await signed_in(http, installation.key("report"), next=elsewhere)
    assert answer.headers["location"] == "/pages/experiments"


async def test_a_role_lands_on_its_own_page(installation, http):
    answer = await signed_in(http, installation.key("review"), next="/pages/experiments")
    assert answer.headers["location"] == "/pages/review"


@pytest.mark.parametrize(
    ("key", "status", "says"), [("rk_unknown", 401, "unknown"), ("", 401, "unknown"), ("广告", 401, "unknown")]
)
async def test_a_wrong_key_shows_the_form_again_with_the_reason(http, key, status, says):
    answer = await signed_in(http, key)
    assert (answer.status_code, says in answer.text) == (status, True)


async def test_a_key_that_opens_no_page_cannot_sign_in(installation, http):
    answer = await signed_in(http, installation.key("generate", "events"))
    assert answer.status_code == 403
    assert "opens no page" in answer.text


async def test_the_sign_in_form_cannot_be_sent_from_elsewhere(installation, http):
    answer = await http.post("/signin", data={"key": installation.key("report"), "csrf": "0" * 64})
    assert answer.status_code == 403
    assert (await http.get("/pages/report")).status_code == 303


async def test_a_change_by_cookie_needs_the_csrf_token(installation, http):
    await signed_in(http, installation.key("ops"))
    csrf = installation.authenticator.csrf(http.cookies[COOKIE])
    assert (await http.post("/ops")).json()["rule"] == "csrf"
    assert (await http.post("/ops", data={"csrf": "0" * 64})).status_code == 403
    assert (await http.post("/ops", data={"csrf": "令牌"})).status_code == 403
    assert (await http.post("/ops", data={"csrf": csrf})).status_code == 200
    assert (await http.post("/ops", headers={CSRF_HEADER: csrf})).status_code == 200


async def test_a_csrf_token_is_good_for_one_session_only(installation, http):
    await signed_in(http, installation.key("ops"))
    async with installation.client() as another:
        await signed_in(another, installation.key("ops"))
        foreign = installation.authenticator.csrf(another.cookies[COOKIE])
    assert (await http.post("/ops", data={"csrf": foreign})).status_code == 403


async def test_ad_systems_routes_take_no_cookie(installation, http):
    await signed_in(http, installation.key("admin"))
    assert (await http.get("/generate")).status_code == 401
    assert (await http.get("/events")).status_code == 401


async def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(client, keys):
    await signed_in(client, keys["report"]["Authorization"].removeprefix("Bearer "))
    copied = client.cookies[COOKIE]
    csrf = csrf_of(await client.get("/pages/experiments"))
    assert (await client.post("/signout", data={"csrf": "0" * 64})).status_code == 403
    assert (await client.get("/pages/experiments")).status_code == 200
    assert (await client.post("/signout", data={"csrf": csrf})).status_code == 303
    client.cookies.set(COOKIE, copied)
    assert (await client.get("/pages/experiments")).status_code == 303
    assert (await client.get("/experiments")).status_code == 401


async def test_signing_out_ends_no_other_session_of_the_same_key(app, client, keys):
    key = keys["report"]["Authorization"].removeprefix("Bearer ")
    await signed_in(client, key)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://relate.test") as another:
        await signed_in(another, key)
        await client.post("/signout", data={"csrf": csrf_of(await client.get("/pages/experiments"))})
        assert (await another.get("/pages/experiments")).status_code == 200


async def test_a_page_reads_the_cookie_only_whatever_key_comes_with_it(installation, http):
    await signed_in(http, installation.key("report"))
    other = bearer(installation.key("ops"))
    assert (await http.get("/pages/ops", headers=other)).status_code == 403
    assert (await http.get("/pages/report", headers=other)).status_code == 200
    assert (await http.post("/ops", headers=bearer("rk_unknown"))).status_code == 401


async def test_a_bearer_key_is_never_helped_by_the_cookie_beside_it(installation, http):
    await signed_in(http, installation.key("admin"))
    assert (await http.get("/ops", headers=bearer(installation.key("report")))).status_code == 403
    assert (await http.get("/ops", headers=bearer(""))).status_code == 401


async def test_revoking_a_key_ends_its_sessions(installation, http):
    await signed_in(http, installation.key("report"))
    installation.keys.clear()
    assert (await http.get("/pages/report")).status_code == 303
    assert (await http.get("/report")).status_code == 401


@given(st.integers(0), st.characters(min_codepoint=33, max_codepoint=126))
def test_an_altered_cookie_is_nobodys(position, character):
    cookie = SHARED.authenticator.session(digest_of(SHARED.key("admin")))
    position %= len(cookie) - 1  # the last character of base64 has two bits that stand for nothing
    altered = cookie[:position] + character + cookie[position + 1 :]
    assert (SHARED.authenticator.holder(altered) is not None) == (altered == cookie)


@pytest.mark.parametrize(("hours", "lives"), [(11.9, True), (12.1, False)])
def test_a_session_lasts_twelve_hours(installation, monkeypatch, hours, lives):
    cookie = installation.authenticator.session(digest_of(installation.key("report")))
    later = datetime.now(UTC).timestamp() + hours * 3600
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert (installation.authenticator.holder(cookie) is not None) == lives


def test_a_cookie_does_not_hold_the_key(installation):
    key = installation.key("admin")
    assert key.split("_", 2)[2] not in installation.authenticator.session(digest_of(key))
