"""`/policies`: versions that never change, and the three names that do."""

from __future__ import annotations

import asyncio

import pytest
from registering import RELATE, aliases, answers, gated, move, registered
from sqlalchemy import select

from app.store.models.experiments import AuditEntry


@pytest.fixture
async def ops(client, bearer, upstream):
    upstream.answer = answers
    client.headers.update(await bearer("ops"))
    return client


async def test_a_registered_policy_serves_nobody_yet(ops, app):
    before = await aliases(ops)
    version = await registered(ops)
    assert version.startswith("relate-20")
    assert await aliases(ops) == before
    assert app.state.container.state.registry.policies[version].endpoint == "http://vllm-2:8000"


async def test_the_same_content_is_the_same_version(ops):
    version = await registered(ops)
    again = await ops.post("/policies", json=RELATE)
    assert (again.status_code, again.json()["rule"]) == (409, "policy_exists")
    assert version in again.json()["detail"]
    assert await registered(ops, decoding={"temperature": 0.7}) != version


async def test_a_promotion_keeps_the_champion_it_replaces_and_a_rollback_brings_it_back(ops):
    base = (await aliases(ops))["champion"]
    relate = await gated(ops)
    assert (await move(ops, "champion", action="promote", version=relate)).json()["aliases"] == {
        "champion": relate,
        "previous": base,
    }
    assert (await move(ops, "champion", action="rollback")).json()["aliases"] == {"champion": base, "previous": relate}
    assert await aliases(ops) == {"champion": base, "previous": relate}


async def test_a_challenger_leaves_the_champion_alone(ops):
    base = (await aliases(ops))["champion"]
    relate = await registered(ops, endpoint=None)  # a challenger may have no gate yet
    assert (await move(ops, "challenger", action="promote", version=relate)).json()["aliases"] == {
        "champion": base,
        "challenger": relate,
    }


async def test_promotions_at_once_leave_one_champion_and_the_one_before_it(ops):
    versions = [await gated(ops, model=f"relate-{number}") for number in range(4)]
    await asyncio.gather(*(move(ops, "champion", action="promote", version=version) for version in versions))
    held = await aliases(ops)
    assert held["champion"] in versions
    assert held["previous"] in versions
    assert held["champion"] != held["previous"]


async def test_every_move_is_audited_with_what_was_before(ops, app):
    base = (await aliases(ops))["champion"]
    relate = await gated(ops)
    await move(ops, "champion", action="promote", version=relate)
    async with app.state.container.database.begin() as connection:
        entry = (
            await connection.execute(select(AuditEntry).where(AuditEntry.action == "policy.promote.champion"))
        ).one()
    after = {"champion": relate, "previous": base}
    assert entry.detail == {"before": {"champion": base}, "after": after, "gate": 1}


@pytest.mark.parametrize(
    ("alias", "body", "status", "rule"),
    [
        ("champion", {"action": "rollback"}, 409, "nothing_to_roll_back_to"),
        ("challenger", {"action": "rollback"}, 409, "nothing_to_roll_back_to"),
        ("champion", {"action": "promote", "version": "relate-19990101-ffffff"}, 422, "unknown_policy"),
        ("champion", {"action": "promote"}, 422, "invalid_request"),
        ("champion", {"action": "promote", "version": "a\x00b"}, 422, "invalid_request"),
        ("champion", {"action": "retire"}, 422, "invalid_request"),
        ("champion", {}, 422, "invalid_request"),
        ("previous", {"action": "promote", "version": "x"}, 422, "invalid_request"),
        ("冠军", {"action": "rollback"}, 422, "invalid_request"),
    ],
)
async def test_a_move_that_cannot_be_made_changes_nothing(ops, alias, body, status, rule):
    before = await aliases(ops)
    refusal = await ops.post(f"/policies/{alias}", json=body)
    assert (refusal.status_code, refusal.json()["rule"]) == (status, rule)
    assert await aliases(ops) == before


async def test_the_champion_is_not_promoted_over_itself(ops):
    refusal = await move(ops, "champion", action="promote", version=(await aliases(ops))["champion"])
    assert (refusal.status_code, refusal.json()["rule"]) == (409, "already_there")


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "vllm:8000",
        "ftp://vllm/",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@vllm/",
        "http://vllm/?key=1",
        "http://vllm/#a",
        "http://vllm:99999/",
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://0.0.0.0:8000",
        "http://[::ffff:169.254.169.254]/",
        "http://[::169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:a9fe:a9fe::]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0xA9.0xFE.0xA9.0xFE/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://169.16689662/",
        "http://169.254.169.254./",
        "http://0/",
        "http://[fe80::1%25eth0]/",
        "http://[fd00:ec2::254]/",
        "http://168.63.129.16/",
        "http://100.100.100.200/",
        "http://224.0.0.1/",
        "http://广告.example/",
        "http://vllm /",
        "http://vllm\n/",
        "http://[::1",
    ],
)
async def test_an_endpoint_that_is_no_policy_server_is_refused(refusing, endpoint):
    refusal = await refusing("ops").post("/policies", json=RELATE | {"endpoint": endpoint})
    assert refusal.status_code == 422
    assert refusal.json()["errors"][0]["field"] == "endpoint"


@pytest.mark.parametrize(
    "endpoint",
    ["http://10.0.0.7:8000", "https://policies.example/relate", "http://localhost:8001", "http://[fd00::7]:8000"],
)
async def test_policy_servers_may_live_in_a_private_network(ops, endpoint):
    assert (await ops.post("/policies", json=RELATE | {"endpoint": endpoint})).json()["endpoint"] == endpoint


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Relate"}, "name"),
        ({"name": "a-b"}, "name"),
        ({"kind": "gpt"}, "kind"),
        ({"locales": []}, "locales"),
        ({"locales": ["zh"]}, "locales.0"),
        ({"model": None}, "model"),
        ({"model": "a b"}, "model"),
        ({"kind": "nlg", "endpoint": None}, "model"),
        ({"decoding": {"temperature": -1}}, "decoding.temperature"),
        ({"decoding": {"top_p": 0}}, "decoding.top_p"),
        ({"decoding": {"max_tokens": 10**9}}, "decoding.max_tokens"),
        ({"decoding": {"template": "free"}}, "decoding.template"),
        ({"id": 7}, "id"),
    ],
)
async def test_a_bad_policy_is_refused_by_field(refusing, change, field):
    refusal = await refusing("ops").post("/policies", json=RELATE | change)
    assert refusal.status_code == 422
    assert [problem["field"] for problem in refusal.json()["errors"]] == [field]


async def test_analysts_read_policies_and_only_ops_change_them(client, bearer):
    client.headers.update(await bearer("report"))
    assert (await client.get("/policies")).status_code == 200
    assert (await client.post("/policies", json=RELATE)).status_code == 403
    assert (await client.post("/policies/champion", json={"action": "rollback"})).status_code == 403
