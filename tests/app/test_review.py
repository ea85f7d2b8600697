"""`/check`, provenance and a reviewer's word."""

from __future__ import annotations

import asyncio

import pytest
from service import BOOTS, KAFFEE, a_request
from sqlalchemy import select

from app.store.models.experiments import AuditEntry


@pytest.fixture
async def reviewer(client, bearer):
    client.headers.update(await bearer("review", "generate"))
    return client


async def checked(client, brief, *texts, platform="generic"):
    answer = await client.post("/check", json={"brief": brief, "platform": platform, "texts": list(texts)})
    assert answer.status_code == 200, answer.text
    return answer.json()


COFFEE_LINE = "下单后现烘现发，适合手冲，欢迎了解。"
BOOTS_LINE = "Resoled in our own workshop. Visit the shop in Keswick."


@pytest.mark.parametrize(
    ("brief", "title", "line", "rules"),
    [
        (KAFFEE, "云南小粒咖啡豆", COFFEE_LINE, set()),
        (KAFFEE, "全网最低价咖啡豆", COFFEE_LINE, {"absolute_claim", "ungrounded_offer"}),
        (BOOTS, "Leather Walking Boots", BOOTS_LINE, set()),
        (BOOTS, "Boots 90% Off", BOOTS_LINE, {"ungrounded_percentage"}),
    ],
)
async def test_a_text_is_judged_by_the_rules_that_decide_what_is_served(reviewer, brief, title, line, rules):
    (judged,) = (await checked(reviewer, brief, {"title": title, "description": line}))["texts"]
    blocking = {finding["rule"] for finding in judged["findings"] if finding["severity"] == "block"}
    assert judged["compliant"] == (not rules)
    assert blocking == rules


async def test_a_finding_says_where_and_why(reviewer):
    title = "全网最低价咖啡豆"
    (judged,) = (await checked(reviewer, KAFFEE, {"title": title, "description": COFFEE_LINE}))["texts"]
    finding = next(found for found in judged["findings"] if found["rule"] == "absolute_claim")
    start, end = finding["span"]
    assert title[start:end] == finding["quote"]
    assert finding["reason"]
    assert finding["source"]


async def test_texts_are_judged_in_the_order_sent(reviewer):
    good = {"title": "Leather Walking Boots", "description": BOOTS_LINE}
    answer = await checked(reviewer, BOOTS, good, {**good, "title": ""}, good)
    assert [text["compliant"] for text in answer["texts"]] == [True, False, True]


@pytest.fixture
def served(generate):
    async def call(**over):
        answer = await generate(a_request(**over))
        return answer["texts"][0]

    return call


async def test_a_served_text_says_where_it_came_from(reviewer, served):
    text = await served()
    answer = (await reviewer.get(f"/texts/{text['text_id']}/provenance")).json()
    assert (answer["title"], answer["policy"], answer["machine_generated"]) == (
        text["title"],
        text["policy"],
        text["machine_generated"],
    )
    assert answer["rules_version"]
    assert answer["prompt_hash"]
    assert answer["state"] == "approved"


async def test_a_rejected_text_is_not_served_again(reviewer, generate):
    body = a_request(n=4)
    first = (await generate(body))["texts"][0]["text_id"]
    assert (await reviewer.post(f"/texts/{first}/review", json={"decision": "reject"})).json()["state"] == "rejected"
    async with asyncio.timeout(10):
        while first in {text["text_id"] for text in (await generate(body))["texts"]}:
            await asyncio.sleep(0.01)  # until the announcement has reached this replica's pool
    assert first not in {text["text_id"] for text in (await generate(body))["texts"]}


async def test_a_decision_is_kept_with_who_made_it_and_why(reviewer, served, app):
    text = await served()
    await reviewer.post(f"/texts/{text['text_id']}/review", json={"decision": "reject", "note": "听起来像别家"})
    provenance = (await reviewer.get(f"/texts/{text['text_id']}/provenance")).json()
    assert provenance["state"] == "rejected"
    assert provenance["reviewed_by"].startswith("a test (rk_")
    async with app.state.container.database.begin() as connection:
        entry = (await connection.execute(select(AuditEntry).where(AuditEntry.action == "text.reject"))).one()
    assert (entry.subject, entry.detail) == (f"text:{text['text_id']}", {"note": "听起来像别家", "before": "approved"})


async def test_a_text_that_waits_for_review_is_approved_by_a_person(reviewer, served, database):
    text = await served()
    database.execute("UPDATE texts SET state = 'review' WHERE id = %s", (text["text_id"],))
    assert (await reviewer.post(f"/texts/{text['text_id']}/review", json={"decision": "approve"})).json()[
        "state"
    ] == "approved"


async def test_nobody_can_approve_what_a_rule_blocks(reviewer, served, database):
    text = await served()
    database.execute(
        "UPDATE texts SET state = 'review', title = 'Cures Cancer Guaranteed 100%%' WHERE id = %s", (text["text_id"],)
    )
    refusal = await reviewer.post(f"/texts/{text['text_id']}/review", json={"decision": "approve"})
    assert (refusal.status_code, refusal.json()["rule"]) == (409, "blocked")
    assert (await reviewer.get(f"/texts/{text['text_id']}/provenance")).json()["state"] == "review"


async def test_a_text_whose_brief_is_gone_can_only_be_rejected(reviewer, served, database):
    text = await served()
    database.execute("DELETE FROM briefs")
    refusal = await reviewer.post(f"/texts/{text['text_id']}/review", json={"decision": "approve"})
    assert (refusal.status_code, refusal.json()["rule"]) == (409, "brief_gone")
    assert (await reviewer.post(f"/texts/{text['text_id']}/review", json={"decision": "reject"})).status_code == 200


@pytest.mark.parametrize(
    ("text_id", "body", "status"),
    [
        ("00000000-0000-0000-0000-000000000000", {"decision": "approve"}, 404),
        ("00000000-0000-0000-0000-000000000000", {"decision": "maybe"}, 422),
        ("00000000-0000-0000-0000-000000000000", {"decision": "reject", "note": "a\nb"}, 422),
        ("广告", {"decision": "approve"}, 422),
    ],
)
async def test_a_review_of_nothing_is_refused(reviewer, text_id, body, status):
    assert (await reviewer.post(f"/texts/{text_id}/review", json=body)).status_code == status


async def test_only_reviewers_decide(client, bearer):
    client.headers.update(await bearer("ops", "report", "generate"))
    refusal = await client.post("/texts/00000000-0000-0000-0000-000000000000/review", json={"decision": "approve"})
    assert refusal.status_code == 403
