"""The whole product for real: the packaged model in vLLM, PostgreSQL, the API over HTTP, every example brief, events
back, the report read.

What is served is judged by `forbidden`, the tests' own list of strings and facts: with the model up, stopped in its
tracks, and killed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import httpx
import psycopg
import pytest
from forbidden import forbidden
from trials import let_days_pass

from adtext.examples import Example, load_examples
from app.core.settings import Settings
from app.up.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EXAMPLES = load_examples(Path(__file__).parents[2] / "examples" / "briefs.jsonl")
VALID = [example for example in EXAMPLES if "invalid" not in example.tags]
PLAIN_ENGLISH = [
    example
    for example in VALID
    if example.tags.isdisjoint({"hostile", "regulated"}) and example.brief_data["locale"].startswith("en")
]
PREFILL_S = 480.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    # not below pytest's own folder, which another run may tidy up while this one goes on
    with TemporaryDirectory(prefix="relate-e2e-") as folder, Stack(Settings(data_dir=Path(folder), port=0)) as running:
        yield running


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def prefilled(stack: Stack, api: httpx.Client) -> dict[str, Any]:
    """Every valid example, written ahead by the champion at low priority."""
    briefs = [{"brief": dict(example.brief_data), "platform": example.platform} for example in VALID]
    created = api.post("/pool/prefill", json={"briefs": briefs}, headers=bearer(stack, "generate"))
    assert created.status_code == 202, created.text
    deadline = monotonic() + PREFILL_S
    while monotonic() < deadline:
        progress: dict[str, Any] = api.get(
            f"/pool/prefill/{created.json()['id']}", headers=bearer(stack, "generate")
        ).json()
        if progress["done"] + progress["failed"] == progress["total"]:
            return progress
        sleep(1)
    raise AssertionError(
        f"the prefill was not done within {PREFILL_S:.0f} s: {progress['done']} of {progress['total']}"
    )


def bearer(stack: Stack, scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.keys[scope]}"}


def ask(
    stack: Stack,
    api: httpx.Client,
    example: Example,
    unit: str,
    *,
    deadline_ms: int = 2000,
    query: str = "",
    **more: Any,
) -> dict[str, Any]:
    """One /generate for an example; every text that comes back is judged here and now."""
    brief = dict(example.brief_data) | ({"query": query} if query else {})
    body = {"brief": brief, "platform": example.platform, "unit_id": unit, "deadline_ms": deadline_ms, "n": 2} | more
    answer = api.post("/generate", json=body, headers=bearer(stack, "generate"))
    assert answer.status_code == 200, answer.text
    parsed: dict[str, Any] = answer.json()
    for text in parsed["texts"]:
        descriptions = [value for value in (text["description"], text["description_2"]) if value is not None]
        assert forbidden(text["title"], descriptions, example.brief(), example.platform) == [], (example.name, text)
    return parsed


@pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if "invalid" in example.tags], ids=lambda example: example.name
)
def test_an_invalid_brief_is_refused_by_field_and_sentence(stack: Stack, api: httpx.Client, example: Example) -> None:
    body = {"brief": dict(example.brief_data), "platform": example.platform, "unit_id": "u"}
    answer = api.post("/generate", json=body, headers=bearer(stack, "generate"))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert all(error["field"].startswith("brief") and error["detail"] for error in answer.json()["errors"])


def test_most_english_briefs_get_a_model_written_text(
    stack: Stack, api: httpx.Client, prefilled: dict[str, Any], record_property: Callable[[str, object], None]
) -> None:
    sources: dict[str, str] = {}
    reasons: Counter[str] = Counter()
    for example in VALID:
        answer = ask(stack, api, example, "first-visitor", layer="no-experiment", n=8)
        written = [(text["title"].lower(), text["description"].lower()) for text in answer["texts"]]
        assert len(set(written)) == len(written), (example.name, written)
        sources[example.name] = answer["texts"][0]["source"] if answer["texts"] else "none"
        reasons[str(answer["reason"])] += 1
    by_model = [example.name for example in PLAIN_ENGLISH if sources[example.name] in ("pool", "fresh")]
    record_property(f"sources over {len(VALID)} briefs", dict(Counter(sources.values())))
    record_property("why not the policy's own", dict(reasons))
    record_property("plain English briefs with a model-written text", f"{len(by_model)} of {len(PLAIN_ENGLISH)}")
    assert len(by_model) >= 0.85 * len(PLAIN_ENGLISH)


def test_other_languages_and_regulated_industries_are_served_by_the_fallback_chain_by_name(
    stack: Stack, api: httpx.Client
) -> None:
    for example in VALID:
        brief = example.brief()
        expected = (
            "policy_does_not_write_locale"
            if not brief.locale.startswith("en")
            else "review_required"
            if "regulated" in example.tags
            else None
        )
        if expected is None:
            continue
        answer = ask(stack, api, example, "visitor", layer="no-experiment")
        assert answer["reason"] == expected, example.name
        assert all(text["source"] in ("advertiser", "template") for text in answer["texts"]), example.name
        if "hostile" not in example.tags:
            assert answer["texts"], example.name


def test_with_the_model_stopped_every_answer_is_in_time_and_allowed(stack: Stack, api: httpx.Client) -> None:
    assert stack.vllm is not None
    stack.vllm.pause()
    try:
        for example in PLAIN_ENGLISH[:20]:
            started = monotonic()
            answer = ask(
                stack,
                api,
                example,
                "patient",
                deadline_ms=400,
                query=f"{example.brief().query} today",
                layer="no-experiment",
            )
            assert answer["reason"] in ("deadline", "model_too_slow")
            assert answer["texts"] and answer["texts"][0]["source"] in ("advertiser", "template")
            assert monotonic() - started < 10
    finally:
        stack.vllm.resume()


def test_events_come_back_and_the_report_counts_them(
    stack: Stack, api: httpx.Client, prefilled: dict[str, Any]
) -> None:
    """Two arms, 200 units, one impression each; every second unit clicks, every fourth converts; all sent twice, in
    pieces.
    """
    _start_experiment(stack, api)
    now = datetime.now(UTC).replace(microsecond=0)
    events: list[dict[str, Any]] = []
    arms: Counter[str] = Counter()
    clicks: Counter[str] = Counter()
    conversions: Counter[str] = Counter()
    served = 0
    for number in range(200):
        example = PLAIN_ENGLISH[number % len(PLAIN_ENGLISH)]
        answer = ask(stack, api, example, f"unit-{number}", layer="e2e", n=1)
        assert answer["experiment"] == "e2e"
        if not answer["texts"]:
            continue
        served += 1
        arm, token = answer["arm"], answer["texts"][0]["token"]
        arms[arm] += 1
        events.append(event(number, "impression", token, now))
        if number % 2 == 0:
            clicks[arm] += 1
            events.append(event(number, "click", token, now + timedelta(seconds=5)))
        if number % 4 == 0:
            conversions[arm] += 1
            events.append(event(number, "conversion", token, now + timedelta(seconds=60)))
    assert served >= 190
    for batch in (events[::2], events[1::2], events[::-1]):
        answers = api.post("/events", json={"events": batch}, headers=bearer(stack, "events"))
        assert answers.status_code == 200, answers.text
        assert {row["status"] for row in answers.json()["answers"]} <= {"accepted", "duplicate"}
    with psycopg.connect(stack.settings.database_url) as connection:
        let_days_pass(connection, 3)
    report = api.get("/experiments/e2e/report", headers=bearer(stack, "report"))
    assert report.status_code == 200, report.text
    for arm in report.json()["arms"]:
        name = arm["arm"]
        assert (arm["units"], arm["impressions"], arm["clicks"], arm["conversions"]) == (
            arms[name],
            arms[name],
            clicks[name],
            conversions[name],
        )


def _start_experiment(stack: Stack, api: httpx.Client) -> None:
    policies = {
        policy["kind"]: policy["version"]
        for policy in api.get("/policies", headers=bearer(stack, "report")).json()["policies"]
    }
    body = {
        "name": "e2e",
        "layer": "e2e",
        "arms": [{"name": "nlg", "policy": policies["nlg"]}, {"name": "base", "policy": policies["vllm"]}],
        "window_hours": 24,
        "planned_units": 1000,
    }
    ops = bearer(stack, "ops")
    assert api.post("/experiments", json=body, headers=ops).status_code == 201
    assert api.post("/experiments/e2e/start", headers=ops).status_code == 200
    _until_experiment_is_known(stack, api)


def event(number: int, kind: str, token: str, at: datetime) -> dict[str, Any]:
    return {"event_id": f"{kind}-{number}", "kind": kind, "token": token, "occurred_at": at.isoformat()}


def _until_experiment_is_known(stack: Stack, api: httpx.Client) -> None:
    for _ in range(50):
        if ask(stack, api, PLAIN_ENGLISH[0], "somebody", layer="e2e", n=1)["experiment"] == "e2e":
            return
        sleep(0.1)
    raise AssertionError("the running experiment never reached the replica")


def test_killing_the_model_half_way_costs_no_answer_and_lets_nothing_through(stack: Stack, api: httpx.Client) -> None:
    """Last: the model does not come back."""
    assert stack.vllm is not None
    sources: Counter[str] = Counter()
    with ThreadPoolExecutor(8) as callers:
        asked = [
            callers.submit(
                ask,
                stack,
                api,
                example,
                f"unit-{turn}",
                deadline_ms=8000,
                query=f"{example.brief().query} {turn}",
                layer="no-experiment",
            )
            for turn in range(2)
            for example in VALID
        ]
        sleep(4)
        stack.vllm.kill()
        for answer in asked:
            texts = answer.result()["texts"]
            sources[texts[0]["source"] if texts else "none"] += 1
    assert sources["advertiser"] > 0
    assert sources["none"] <= len([example for example in VALID if "hostile" in example.tags]) * 2
