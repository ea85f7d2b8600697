"""The Host header is the caller's word: it is never repeated, and may be limited to names that are ours."""

from __future__ import annotations

from types import SimpleNamespace

import httpx
import pytest

from app.core.settings import Settings
from app.main import create_app


def a_client(**settings: object) -> httpx.AsyncClient:
    app = create_app(Settings(**settings))
    app.state.authenticator = SimpleNamespace(recognises=lambda headers: True)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://relate.test")


@pytest.mark.parametrize("path", ["/generate/", "/experiments/", "/signin/", "/healthz/", "//evil.example/%2e%2e"])
async def test_no_answer_repeats_the_host_header(path):
    async with a_client() as client:
        answer = await client.get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "//evil.example" not in answer.text + str(answer.headers)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("relate.example", 200),
        ("RELATE.example:8080", 200),
        ("eu.ads.example", 200),
        ("ads.example", 400),
        ("evil.example", 400),
        ("relate.example.evil.example", 400),
        ("evilads.example", 400),
        ("[::1]:8080", 200),
        ("", 400),
    ],
)
async def test_only_trusted_hosts_are_answered_where_they_are_named(host, status):
    async with a_client(trusted_hosts=["relate.example", "*.ads.example", "[::1]"]) as client:
        answer = await client.get("/openapi.json", headers={"Host": host})
        assert answer.status_code == status
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200
    if status == 400:
        assert answer.json()["rule"] == "untrusted_host"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
