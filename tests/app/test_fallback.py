"""What is served when the policy gives no text: the fallback chain, in its order, and checked like everything else."""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakePolicyServer
from fastapi import FastAPI
from service import BAD, KAFFEE, Database, Generate, a_request, policy, start_experiment

from adtext.spec import load_spec
from app.core.contract import GenerateRequest
from app.runtime.pool_cache import pool_key


async def test_a_pool_known_to_be_empty_costs_no_fallback(
    generate: Generate, upstream: FakePolicyServer, app: FastAPI
) -> None:
    body = a_request(deadline_ms=800)
    brief = GenerateRequest.model_validate(body).brief
    key = pool_key(app.state.container.state.registry.champion.version, load_spec("google_rsa"), brief)
    await app.state.container.serving._pool_loader.load(key)  # as a prefill leaves it that found nothing to keep
    upstream.delay = 3.0
    answer = await generate(body)
    assert (answer["reason"], answer["texts"][0]["source"]) == ("deadline", "advertiser")


async def test_a_refusing_model_is_replaced_by_the_advertisers_text(
    generate: Generate, upstream: FakePolicyServer
) -> None:
    upstream.status = 503
    answer = await generate()
    assert (answer["reason"], answer["texts"][0]["source"]) == ("policy_unavailable", "advertiser")


@pytest.mark.parametrize(
    ("approved", "source"),
    [
        (
            [
                {
                    "title": "Fell & Moor Walking Boots",
                    "description": "Leather boots, resoled in our own workshop in Keswick.",
                }
            ],
            "advertiser",
        ),
        (
            [
                {
                    "title": "The Best Boots In The World",
                    "description": "Guaranteed cheapest boots, 90% off today only for everyone.",
                }
            ],
            "template",
        ),
        ([], "template"),
    ],
)
async def test_the_fallback_chain_holds_its_order_and_is_checked_too(
    generate: Generate, upstream: FakePolicyServer, approved: list[dict[str, str]], source: str
) -> None:
    upstream.answer = lambda body: [BAD] * body["n"]
    answer = await generate(ad={"approved": approved})
    assert (answer["reason"], answer["texts"][0]["source"]) == ("no_compliant_text", source)
    assert "Best" not in answer["texts"][0]["title"]


async def test_nothing_allowed_is_an_empty_answer_with_its_reason(
    generate: Generate, upstream: FakePolicyServer, database: Database, app: FastAPI
) -> None:
    upstream.answer = lambda body: [BAD, "no template at all", ""]
    hopeless = {
        "approved": [],
        "selling_points": ["The best boots in the world, guaranteed"],
        "business": "100% guaranteed cheapest boots",
    }
    answer = await generate(ad=hopeless)
    assert answer["texts"] == []
    assert (answer["reason"], answer["fallback_missing"]) == ("no_compliant_text", True)
    assert database.execute("SELECT candidates, compliant FROM candidate_counts").fetchall() == [(3, 0)]


async def test_what_the_rules_cannot_decide_and_what_is_regulated_waits_for_a_person(
    generate: Generate, upstream: FakePolicyServer, database: Database
) -> None:
    answer = await generate(ad={"industry": "health"})
    assert (answer["reason"], answer["texts"][0]["source"]) == ("review_required", "advertiser")
    async with asyncio.timeout(5):
        while not (states := database.execute("SELECT state FROM texts WHERE origin = 'model'").fetchall()):
            await asyncio.sleep(0.05)
    assert {state for (state,) in states} == {"review"}


async def test_a_chinese_brief_goes_down_the_fallback_chain_and_says_so(
    generate: Generate, upstream: FakePolicyServer
) -> None:
    answer = await generate({"brief": KAFFEE, "platform": "baidu_search", "unit_id": "用户一", "deadline_ms": 1000})
    assert (answer["reason"], answer["texts"][0]["source"]) == ("policy_does_not_write_locale", "advertiser")
    assert upstream.bodies == []


async def test_the_template_policy_writes_in_every_locale(generate: Generate, database: Database, app: FastAPI) -> None:
    start_experiment(database, "all-nlg", [policy(database, "nlg"), policy(database, "nlg")])
    await app.state.container.state.refresh()
    answer = await generate({"brief": KAFFEE, "platform": "baidu_search", "unit_id": "用户一", "deadline_ms": 5000})
    assert (answer["reason"], answer["texts"][0]["source"], answer["texts"][0]["machine_generated"]) == (
        None,
        "fresh",
        True,
    )
