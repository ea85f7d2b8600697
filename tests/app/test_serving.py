"""POST /generate: who is served what, from where, and what never leaves."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest
from fakes import FakePolicyServer
from fastapi import FastAPI
from service import BAD, GOOD, Database, Generate, a_request, policy, start_experiment

from app.core.tokens import Sealer
from app.services.serving import generate as serving
from app.services.serving.candidates import compliant_candidate


async def test_a_first_request_is_written_for_and_the_second_is_served_from_the_pool(
    generate: Generate, upstream: FakePolicyServer
) -> None:
    body = a_request(n=2)
    first, second = await generate(body), await generate(body)
    assert [text["source"] for text in first["texts"]] == ["fresh", "fresh"]
    assert [text["source"] for text in second["texts"]] == ["pool", "pool"]
    assert first["reason"] is None and len(upstream.bodies) == 1


async def test_a_served_text_has_its_provenance_committed(generate: Generate, database: Database) -> None:
    [text] = (await generate())["texts"]
    row = database.execute(
        "SELECT origin, state, prompt_hash, seed, findings, spec_version, rules_version FROM texts WHERE id = %s",
        (text["text_id"],),
    ).fetchone()
    assert row is not None
    assert row[:2] == ("model", "approved") and all(value is not None for value in row[2:])


async def test_a_token_stands_for_what_was_served_and_shows_nothing_of_it(
    generate: Generate, app: FastAPI, database: Database
) -> None:
    start_experiment(database, "boots", [policy(database, "vllm"), policy(database, "nlg")])
    await app.state.container.state.refresh()
    answer = await generate()
    [text] = answer["texts"]
    served = app.state.container.sealer.open(text["token"])
    assert served.text_id.hex() == text["text_id"].replace("-", "")
    assert served.unit == app.state.container.secrets.unit_digest("u-1")
    assert answer["arm"] == f"arm{served.arm}" and served.phase_id > 0
    assert isinstance(app.state.container.sealer, Sealer) and answer["arm"] not in text["token"]


async def test_every_unit_stays_in_its_arm_and_both_arms_are_served_by_their_policy(
    generate: Generate, app: FastAPI, database: Database
) -> None:
    arms = [policy(database, "vllm"), policy(database, "nlg")]
    start_experiment(database, "boots", arms)
    await app.state.container.state.refresh()
    body = a_request()
    answers = [await generate(body | {"unit_id": f"用户{number}"}) for number in range(40)]
    again = [await generate(body | {"unit_id": f"用户{number}"}) for number in range(40)]
    assert [answer["arm"] for answer in answers] == [answer["arm"] for answer in again]
    assert {(answer["arm"], answer["texts"][0]["policy"]) for answer in answers} == {
        ("arm0", arms[0]),
        ("arm1", arms[1]),
    }


@pytest.mark.parametrize(
    ("state", "high", "named", "counted", "noted"),
    [
        ("running", 10_000, None, True, False),
        ("running", 10_000, "boots", True, False),
        ("running", 0, "boots", False, False),  # nobody is covered yet
        ("running", 0, None, False, False),
        ("stopped", 10_000, "boots", False, True),
        ("draft", 10_000, "boots", False, True),
        ("stopped", 10_000, None, False, False),
    ],
)
async def test_whether_an_answer_counts(
    generate: Generate,
    app: FastAPI,
    database: Database,
    state: str,
    high: int,
    named: str | None,
    counted: bool,
    noted: bool,
) -> None:
    start_experiment(database, "boots", [policy(database, "nlg"), policy(database, "nlg")], high=high, state=state)
    await app.state.container.state.refresh()
    answer = await generate(experiment=named)
    assert (answer["experiment"] == "boots", answer["note"] is not None) == (counted, noted)
    assert answer["texts"]


async def test_an_unknown_experiment_is_named(client: httpx.AsyncClient, keys: dict[str, dict[str, str]]) -> None:
    answer = await client.post("/generate", json=a_request(experiment="no-such"), headers=keys["generate"])
    assert (answer.status_code, answer.json()["rule"], answer.json()["errors"][0]["field"]) == (
        404,
        "unknown_experiment",
        "experiment",
    )


async def test_a_late_model_costs_this_caller_its_text_and_the_next_one_nothing(
    generate: Generate, upstream: FakePolicyServer
) -> None:
    upstream.delay = 2.0
    body = a_request(deadline_ms=800)
    late = await generate(body)
    assert (late["reason"], late["texts"][0]["source"], late["texts"][0]["machine_generated"]) == (
        "deadline",
        "advertiser",
        False,
    )
    async with asyncio.timeout(15):
        while (answer := await generate(body))["texts"][0]["source"] != "pool":
            await asyncio.sleep(0.05)
    assert answer["reason"] is None and len(upstream.bodies) == 1


async def test_whom_the_model_cannot_answer_in_time_is_not_kept_waiting_and_the_text_is_written_all_the_same(
    generate: Generate, upstream: FakePolicyServer, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.release = asyncio.Event()
    monkeypatch.setattr(app.state.container.serving._generation, "pace", lambda policy: 11.0)
    body = a_request(deadline_ms=10_000)
    async with asyncio.timeout(9):  # it hangs for ten seconds where it waits
        early = await generate(body)
    assert (early["reason"], early["texts"][0]["source"]) == ("model_too_slow", "advertiser")
    upstream.release.set()
    async with asyncio.timeout(9):
        while (await generate(body))["texts"][0]["source"] != "pool":
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("breaks", [False, True])  # a model's text, an advertiser's
async def test_a_text_that_a_reviewer_rejects_is_gone_at_once_and_stays_gone(
    generate: Generate,
    client: httpx.AsyncClient,
    keys: dict[str, dict[str, str]],
    upstream: FakePolicyServer,
    breaks: bool,
) -> None:
    upstream.answer = lambda body: [BAD if breaks else GOOD[0]] * body["n"]
    body = a_request()
    [text] = (await generate(body))["texts"]
    assert text["source"] == ("advertiser" if breaks else "fresh")
    decision = {"decision": "reject", "note": "off brand"}
    rejected = await client.post(f"/texts/{text['text_id']}/review", json=decision, headers=keys["review"])
    assert rejected.status_code == 200
    async with asyncio.timeout(10):
        while any(shown["text_id"] == text["text_id"] for shown in (await generate(body))["texts"]):
            await asyncio.sleep(0.05)
    again = (await generate(body))["texts"]
    assert text["title"] not in [shown["title"] for shown in again]


async def test_a_unit_sees_every_text_before_it_sees_one_again(generate: Generate) -> None:
    body = a_request()
    await generate(body | {"unit_id": "somebody else"})
    shown = [(await generate(body))["texts"][0]["text_id"] for _ in range(8)]
    assert len(set(shown[:4])) == 4 and shown[4:] == shown[:4]


async def test_texts_the_caller_says_were_seen_come_last(generate: Generate) -> None:
    body = a_request()
    seen = [text["text_id"] for text in (await generate(body | {"n": 3}))["texts"]]
    assert (await generate(body | {"seen": seen}))["texts"][0]["text_id"] not in seen


@pytest.mark.parametrize("first_leaves", [False, True])
async def test_a_thousand_callers_of_one_key_share_one_upstream_call(
    app: FastAPI, keys: dict[str, dict[str, str]], upstream: FakePolicyServer, first_leaves: bool
) -> None:
    upstream.release = asyncio.Event()
    body = a_request(deadline_ms=60_000)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://relate.test", timeout=60
    ) as client:
        calls = [
            asyncio.create_task(client.post("/generate", json=body | {"unit_id": f"u-{n}"}, headers=keys["generate"]))
            for n in range(1000)
        ]
        async with asyncio.timeout(30):
            while not upstream.bodies:
                await asyncio.sleep(0.01)
        if first_leaves:
            calls.pop(0).cancel()
        upstream.release.set()
        answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.json()["texts"][0]["title"] for answer in answers)
    assert len(upstream.bodies) == 1


async def test_without_a_pool_a_call_nobody_waits_for_is_cancelled_upstream(
    app: FastAPI, upstream: FakePolicyServer, generate: Generate
) -> None:
    upstream.release = asyncio.Event()
    app.state.container.serving._generation._pool = False
    assert (await generate(deadline_ms=100))["reason"] == "deadline"
    async with asyncio.timeout(5):
        while not upstream.hung_up:
            await asyncio.sleep(0.01)
    assert app.state.container.serving._generation.under_way == 0


async def test_a_replica_that_cannot_confirm_its_rules_serves_the_fallback_only(
    generate: Generate, app: FastAPI
) -> None:
    body = a_request()
    await generate(body)
    app.state.container.state._confirmed_at = float("-inf")
    answer = await generate(body)
    assert (answer["reason"], answer["texts"][0]["source"]) == ("rules_unconfirmed", "advertiser")


async def test_after_a_rules_change_a_pooled_text_is_checked_once_before_it_is_served_again(
    generate: Generate, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = a_request(n=2)
    await generate(body)
    live, checked = app.state.container.state, []
    monkeypatch.setattr(
        serving, "compliant_candidate", lambda text, *rest: checked.append(text) or compliant_candidate(text, *rest)
    )
    monkeypatch.setattr(live, "rules", replace(live.rules, version="changed"))
    sources = [(await generate(body))["texts"][0]["source"] for _ in range(3)]
    assert sources == ["pool"] * 3
    assert len(checked) == len(set(checked)) > 0


async def test_concurrent_samples_with_the_same_words_are_one_text(
    generate: Generate, upstream: FakePolicyServer, database: Database
) -> None:
    upstream.answer = lambda body: [GOOD[0], GOOD[0].replace("Boots From", "boots  from"), GOOD[0] + "\n", GOOD[1]]
    answer = await generate(n=8)
    assert len(answer["texts"]) == 2


async def test_the_serving_log_holds_no_unit_id_and_every_request(
    generate: Generate, app: FastAPI, database: Database, upstream: FakePolicyServer
) -> None:
    await generate(unit_id="alice@example.com", n=2)
    upstream.answer = lambda body: [BAD]
    await generate(
        unit_id="bob@example.com",
        ad={"approved": [], "selling_points": ["Best in the world"], "business": "best boots in the world"},
        brief={"bidwords": []},
    )
    await app.state.container.serving._log.flush()
    rows = database.execute("SELECT unit, text_id IS NULL, source, query FROM servings ORDER BY at").fetchall()
    assert [row[1:] for row in rows] == [
        (False, 2, "walking boots"),
        (False, 2, "walking boots"),
        (True, 0, "walking boots"),
    ]
    assert {row[0] for row in rows} == {
        app.state.container.secrets.unit_digest(unit) for unit in ("alice@example.com", "bob@example.com")
    }
