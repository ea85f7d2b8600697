"""Who may become champion: what passed the gate and answers its golden prompts; and no request fails over a move."""

from __future__ import annotations

import asyncio

import pytest
from registering import RELATE, WHY, aliases, answers, asked_in, gated, move, registered
from service import GOOD
from sqlalchemy import select

from app.store.models.experiments import AuditEntry
from tests.trainer.gate_reports import a_gate_report


@pytest.fixture
async def ops(client, bearer, upstream):
    upstream.answer = answers
    client.headers.update(await bearer("ops"))
    return client


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
    (listed,) = [policy for policy in (await ops.get("/policies")).json()["policies"] if policy["version"] == version]
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
    (listed,) = [policy for policy in (await ops.get("/policies")).json()["policies"] if policy["version"] == version]
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
