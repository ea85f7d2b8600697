"""`/policies`: versions that never change, and the three names that do."""

from __future__ import annotations

import asyncio

import pytest
from service import GOOD, GOOD_JA, GOOD_ZH
from sqlalchemy import select

from app.store.models.experiments import AuditEntry
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


@pytest.fixture
async def ops(client, bearer, upstream):
    upstream.answer = answers
    client.headers.update(await bearer("ops"))
    return client


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


# ---- the gate before a champion


@pytest.mark.parametrize(
    ("decision", "rule", "said"),
    [(None, "gate_never_ran", "the gate never ran for"), (False, "gate_failed", "failed the gate on 20")],
)
async def test_a_policy_that_did_not_pass_the_gate_is_promoted_with_a_reason_only(ops, app, decision, rule, said):
    before = await aliases(ops)
    version = await (registered(ops, endpoint=None) if decision is None else gated(ops, passed=False))
    refusal = await move(ops, "champion", action="promote", version=version)
    assert (refusal.status_code, refusal.json()["rule"]) == (409, rule)
    assert said in refusal.json()["detail"] and "\n" not in refusal.json()["detail"]
    assert await aliases(ops) == before
    assert (await move(ops, "champion", action="promote", version=version, override_reason="日本")).status_code == 422
    moved = await move(ops, "champion", action="promote", version=version, override_reason=WHY)
    assert moved.json()["aliases"]["champion"] == version
    async with app.state.container.database.begin() as connection:
        promoted = select(AuditEntry.detail).where(AuditEntry.action == "policy.promote.champion")
        assert (await connection.scalars(promoted)).one()["override_reason"] == WHY


async def test_the_latest_decision_of_the_gate_counts(ops):
    version = await gated(ops)
    await ops.post(f"/policies/{version}/gate", json=a_gate_report(version, passed=False))
    assert (await move(ops, "champion", action="promote", version=version)).json()["rule"] == "gate_failed"
    (listed,) = [one for one in (await ops.get("/policies")).json()["policies"] if one["version"] == version]
    assert listed["gate"]["passed"] is False and listed["gate"]["champion"] == "relate-1"
    report = (await ops.get(f"/policies/{version}/gate")).json()
    assert [line["measure"] for line in report["lines"] if line["status"] == "fail"] == ["diversity"]


async def test_a_report_about_other_weights_or_changed_by_hand_is_refused(ops):
    named, sealed = await registered(ops), await registered(ops, digest="aa11")
    assert sealed != named, "other weights are another policy"
    for version, report, status, rule in [
        (named, a_gate_report("relate-9"), 422, "other_policy"),
        (sealed, a_gate_report(sealed, digest="bb22"), 422, "other_artifact"),
        (sealed, a_gate_report("任意", digest="aa11"), 201, None),
        (named, a_gate_report(named, passed=False) | {"passed": True}, 422, "invalid_request"),
        ("relate-19990101-ffffff", a_gate_report("x"), 404, "unknown_policy"),
    ]:
        answer = await ops.post(f"/policies/{version}/gate", json=report)
        assert (answer.status_code, answer.json().get("rule")) == (status, rule), answer.text
    assert (await ops.get(f"/policies/{named}/gate")).status_code == 404


async def test_a_policy_keeps_what_it_was_made_from(ops):
    parent = (await aliases(ops))["champion"]
    made_from = {"parent": parent, "digest": "aa11", "artifact": "s3://models/relate-2", "snapshot": "cc33"}
    facts = {"config": {"steps": 100}, "metrics": {"clean": 0.93, "ctcvr": None}}
    version = await registered(ops, **made_from, **facts)
    (listed,) = [one for one in (await ops.get("/policies")).json()["policies"] if one["version"] == version]
    assert {name: listed[name] for name in (*made_from, *facts)} == made_from | facts
    orphan = await ops.post("/policies", json=RELATE | {"parent": "relate-19990101-ffffff"})
    assert (orphan.status_code, orphan.json()["errors"][0]["field"]) == (422, "parent")


# ---- golden prompts before any alias


@pytest.mark.parametrize("alias", ["champion", "challenger"])
async def test_a_policy_that_cannot_be_reached_is_no_ones_alias(ops, alias):
    before = await aliases(ops)
    version = await registered(ops, endpoint="http://127.0.0.1:9")
    refusal = await move(ops, alias, action="promote", version=version, override_reason=WHY)
    assert (refusal.status_code, refusal.json()["rule"]) == (409, "policy_unreachable")
    assert "cannot be reached" in refusal.json()["detail"]
    assert await aliases(ops) == before


async def test_a_server_that_does_not_know_the_model_is_refused(ops, upstream):
    upstream.status = 404
    version = await gated(ops)
    assert (await move(ops, "champion", action="promote", version=version)).json()["rule"] == "policy_unreachable"


@pytest.mark.parametrize("locale", ["en-US", "zh-CN", "ja-JP"])
async def test_a_policy_writes_an_ad_in_each_of_its_languages_before_it_is_promoted(ops, upstream, locale):
    def only_others(body):
        return [] if locale[:2] in asked_in(body) else answers(body)

    upstream.answer = only_others
    version = await gated(ops, locales=["en-US", "en-GB", "zh-CN", "ja-JP"])
    refusal = await move(ops, "champion", action="promote", version=version)
    assert (refusal.status_code, refusal.json()["rule"]) == (409, "golden_prompts")
    assert f"the golden prompt of {locale}" in refusal.json()["detail"]
    upstream.answer = answers
    assert (await move(ops, "champion", action="promote", version=version)).status_code == 200


async def test_a_rollback_to_a_policy_that_does_not_answer_changes_nothing(ops, upstream):
    await move(ops, "champion", action="promote", version=await gated(ops))
    held = await aliases(ops)
    upstream.status = 503
    assert (await move(ops, "champion", action="rollback")).json()["rule"] == "policy_unreachable"
    assert await aliases(ops) == held


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
async def test_an_endpoint_that_is_no_policy_server_is_refused(ops, endpoint):
    refusal = await ops.post("/policies", json=RELATE | {"endpoint": endpoint})
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
async def test_a_bad_policy_is_refused_by_field(ops, change, field):
    refusal = await ops.post("/policies", json=RELATE | change)
    assert refusal.status_code == 422
    assert [problem["field"] for problem in refusal.json()["errors"]] == [field]


async def test_analysts_read_policies_and_only_ops_change_them(client, bearer):
    client.headers.update(await bearer("report"))
    assert (await client.get("/policies")).status_code == 200
    assert (await client.post("/policies", json=RELATE)).status_code == 403
    assert (await client.post("/policies/champion", json={"action": "rollback"})).status_code == 403


# ---- under load


async def test_promotions_and_rollbacks_under_load_fail_no_request_and_stamp_no_text_wrongly(ops, generate, upstream):
    """Two models write in their own words: whoever is stamped on a text must be who wrote it."""
    titles = {"relate-a": "Leather Walking Boots", "relate-b": "Boots Resoled in Keswick"}

    def own_words(body):
        written = [text for text in GOOD if titles.get(body["model"], "") in text]
        return (written * body["n"])[: body["n"]]

    upstream.answer = own_words
    model_of = {await gated(ops, model=model, locales=["en-GB"]): model for model in titles}
    first, second = model_of
    assert (await move(ops, "champion", action="promote", version=first)).status_code == 200
    served, done = [], asyncio.Event()

    async def ad_system() -> None:
        while not done.is_set():
            served.extend((await generate())["texts"])

    callers = [asyncio.create_task(ad_system()) for _ in range(4)]
    moves = [await move(ops, "champion", action="promote", version=second)]
    for _ in range(4):
        await asyncio.sleep(0.1)
        moves.append(await move(ops, "champion", action="rollback"))
    done.set()
    await asyncio.gather(*callers)
    assert [answer.status_code for answer in moves] == [200] * 5
    written = [text for text in served if text["policy"] in model_of]
    assert {text["policy"] for text in written} == {first, second}
    assert {(text["policy"], text["title"]) for text in written} == {
        (version, titles[model]) for version, model in model_of.items()
    }
