"""Who may serve, ramp and start what: every scope against every endpoint and form of the loop."""

from __future__ import annotations

from typing import Any

import httpx

from app.core.api_keys import SCOPES

VERSION = "relate-20261129-abcdef"  # no policy has this version: a permitted caller gets 404
READERS, OPERATORS = {"report", "ops", "admin"}, {"ops", "admin"}
ENDPOINTS = [
    ("GET", f"/policies/{VERSION}/canary", None, READERS),
    ("POST", f"/policies/{VERSION}/canary", {"action": "roll_back"}, OPERATORS),
    ("POST", f"/policies/{VERSION}/canary", {"action": "resume"}, OPERATORS),
    ("POST", f"/policies/{VERSION}/serve", None, OPERATORS),
    ("POST", "/jobs", {"kind": "canary", "parameters": {"rules": {"shares": [5, 1]}}}, OPERATORS),
]


async def test_each_endpoint_opens_to_its_scopes_only(client: httpx.AsyncClient, keys: Any) -> None:
    for method, path, body, allowed in ENDPOINTS:
        answers = {scope: await client.request(method, path, json=body, headers=keys[scope]) for scope in SCOPES}
        opened = {scope for scope, answer in answers.items() if answer.status_code not in (401, 403)}
        assert opened == allowed, (method, path)
        assert {answers[scope].status_code for scope in allowed} == {422 if path == "/jobs" else 404}
        assert (await client.request(method, path, json=body)).status_code == 401


async def test_analysts_see_a_canary_and_cannot_steer_it(visitor: Any) -> None:
    for scopes, status in ((("report",), 403), (("review",), 403)):
        person = await visitor(*scopes)
        form = {"csrf": "0" * 64, "action": "roll_back"}
        answer = await person.post(f"/pages/policies/{VERSION}/canary", data=form)
        assert answer.status_code == status
