"""Policies as ops register them, and a server that writes for each of their languages."""

from __future__ import annotations

from service import GOOD, GOOD_JA, GOOD_ZH

from tests.trainer.gate_reports import a_gate_report

RELATE = {
    "name": "relate",
    "kind": "vllm",
    "model": "relate-8b",
    "locales": ["zh-CN", "en-US"],
    "endpoint": "http://vllm-2:8000/",
}
WHY = "the gate needs a judge, which is not trained yet"


def asked_in(body) -> str:
    """The language of a chat request."""
    asked = body["messages"][-1]["content"]
    return "ja" if "みどり" in asked else "zh" if "青禾" in asked else "en"


def answers(body) -> list[str]:
    """What a server writes that knows three languages."""
    return {"en": GOOD, "zh": GOOD_ZH, "ja": GOOD_JA}[asked_in(body)][: body["n"]]


async def aliases(client) -> dict[str, str]:
    listed = (await client.get("/policies")).json()["policies"]
    return {alias: policy["version"] for policy in listed for alias in policy["aliases"]}


async def registered(ops, **over) -> str:
    answer = await ops.post("/policies", json=RELATE | over)
    assert answer.status_code == 201, answer.text
    return answer.json()["version"]


async def move(ops, alias, **body):
    return await ops.post(f"/policies/{alias}", json=body)


async def gated(ops, *, passed=True, **over) -> str:
    """A version that the deployment's own server writes for, with a decision of the gate."""
    version = await registered(ops, endpoint=None, **over)
    stored = await ops.post(f"/policies/{version}/gate", json=a_gate_report(version, passed=passed))
    assert stored.status_code == 201, stored.text
    return version
