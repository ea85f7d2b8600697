"""Policies as ops see them: the family tree, the gate's decisions, and moves that need a name typed."""

from __future__ import annotations

import httpx
import pytest
from page_visits import csrf_of, read

from tests.trainer.gate_reports import a_gate_report

POLICIES = "/pages/policies"
WHY = "templates need no gate"


@pytest.fixture
async def ops(client, bearer):
    client.headers.update(await bearer("ops"))
    return client


async def registered(ops: httpx.AsyncClient, gate: bool | None = None, **over: object) -> str:
    body = {"name": "relate", "kind": "vllm", "model": "relate-8b", "locales": ["en-US"]} | over
    version: str = (await ops.post("/policies", json=body)).json()["version"]
    if gate is not None:
        report = a_gate_report(version, passed=gate)
        assert (await ops.post(f"/policies/{version}/gate", json=report)).status_code == 201
    return version


async def champion(ops: httpx.AsyncClient) -> str:
    listed = (await ops.get("/policies")).json()["policies"]
    return next(policy["version"] for policy in listed if "champion" in policy["aliases"])


async def send(visitor: httpx.AsyncClient, address: str, **form: str) -> httpx.Response:
    csrf = csrf_of(await visitor.get(POLICIES))
    return await visitor.post(address, data={"csrf": csrf} | form)


async def test_versions_stand_below_what_they_were_trained_from_with_aliases_and_gate(operator, ops):
    root = await champion(ops)
    child = await registered(ops, gate=True, parent=root)
    grandchild = await registered(ops, gate=False, parent=child, model="relate-9b")
    page = await read(operator, POLICIES)
    assert page.index(root) < page.index(child) < page.index(grandchild)
    assert f"{root} champion" in page and f"└ {child}" in page and "never ran" in page
    html = (await operator.get(POLICIES)).text
    assert f'<a class="tag bad" href="{POLICIES}/{grandchild}/gate/2">fail</a>' in html


async def test_a_decision_of_the_gate_has_its_page_with_texts_side_by_side(operator, ops):
    version = await registered(ops, gate=False)
    page = await read(operator, f"{POLICIES}/{version}/gate/1")
    assert "Gate: fail" in page and "diversity fail 0.900 [0.880, 0.920] 0.210 [0.200, 0.930] -0.690" in page
    assert "幅広 靴" in page and "标题：宽楦跑鞋" in page
    assert "标题：&lt;b&gt;跑鞋" in (await operator.get(f"{POLICIES}/{version}/gate/1")).text
    assert "has no gate report 9" in await read(operator, f"{POLICIES}/{version}/gate/9", 404)
    assert "There is no policy" in await read(operator, f"{POLICIES}/relate-没有", 404)


async def test_a_policy_is_promoted_and_rolled_back_with_its_name_typed(operator, ops):
    before = await champion(ops)
    version = await registered(ops, gate=True, config={"steps": 100}, metrics={"clean": 0.93})
    assert "steps 100" in await read(operator, f"{POLICIES}/{version}")
    mistyped = await send(operator, f"{POLICIES}/{version}/promote", alias="champion", typed=version[:-1])
    assert mistyped.status_code == 422 and "type the version&#39;s whole name" in mistyped.text
    assert await champion(ops) == before
    moved = await send(operator, f"{POLICIES}/{version}/promote", alias="champion", typed=version)
    assert moved.status_code == 303 and await champion(ops) == version
    assert (await send(operator, f"{POLICIES}/rollback", typed=version)).status_code == 422
    assert (await send(operator, f"{POLICIES}/rollback", typed=before)).status_code == 303
    assert await champion(ops) == before
    assert "policy.promote.champion by a test" in await read(operator, f"{POLICIES}/{version}")


async def test_a_page_promotes_without_the_gate_only_for_a_reason(operator, ops):
    version = await registered(ops)
    address = f"{POLICIES}/{version}/promote"
    refused = await send(operator, address, alias="champion", typed=version)
    assert refused.status_code == 409 and "The gate never ran for" in refused.text
    assert (await send(operator, address, alias="champion", typed=version, override_reason=WHY)).status_code == 303
    assert f"because: {WHY}" in await read(operator, f"{POLICIES}/{version}")


async def test_analysts_read_policies_and_change_none(visitor, ops):
    analyst, version = await visitor("report"), await registered(ops, gate=True)
    page = (await analyst.get(f"{POLICIES}/{version}")).text
    assert "Promote" not in page and (await analyst.get(POLICIES)).status_code == 200
    assert 'name="typed"' not in page
    csrf = csrf_of(await analyst.get(POLICIES))
    form = {"csrf": csrf, "alias": "champion", "typed": version}
    assert (await analyst.post(f"{POLICIES}/{version}/promote", data=form)).status_code == 403


async def test_a_form_of_another_session_moves_nothing(operator, ops):
    before, version = await champion(ops), await registered(ops, gate=True)
    forged = {"csrf": "0" * 64, "alias": "champion", "typed": version}
    assert (await operator.post(f"{POLICIES}/{version}/promote", data=forged)).status_code == 403
    assert await champion(ops) == before
