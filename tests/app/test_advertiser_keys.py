"""A key of one advertiser: its own ads, texts and events, and nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from service import KAFFEE, a_request

MINE = "Fell & Moor"


@pytest.fixture
async def limited(bearer):
    return await bearer("generate", "events", "review", advertiser=MINE)


@pytest.fixture
async def coffee(generate):
    """A text of another advertiser."""
    return (await generate(a_request(brief=KAFFEE | {"locale": "zh-CN"}, platform="generic") | {"brief": KAFFEE}))[
        "texts"
    ][0]


def an_event(token, number=1):
    return {
        "event_id": f"e-{number}",
        "kind": "impression",
        "token": token,
        "occurred_at": datetime.now(UTC).isoformat(),
    }


async def test_it_asks_for_its_own_ads_only(client, limited):
    assert (await client.post("/generate", json=a_request(), headers=limited)).json()["texts"]
    for path, body in (
        ("/generate", a_request() | {"brief": KAFFEE}),
        ("/check", {"brief": KAFFEE, "platform": "generic", "texts": KAFFEE["ad"]["approved"]}),
    ):
        refusal = await client.post(path, json=body, headers=limited)
        assert (refusal.status_code, refusal.json()["rule"]) == (403, "other_advertiser")
        assert refusal.json()["errors"][0]["field"] == "brief.ad.advertiser"


async def test_it_reports_events_of_its_own_tokens_only(client, limited, generate, coffee, database):
    own = (await generate())["texts"][0]
    batch = {"events": [an_event(own["token"], 1), an_event(coffee["token"], 2), an_event("x", 3)]}
    answers = (await client.post("/events", json=batch, headers=limited)).json()["answers"]
    assert [(answer["status"], answer["reason"]) for answer in answers] == [
        ("accepted", None),
        ("rejected", "other_advertiser"),
        ("rejected", "forged_token"),
    ]
    assert database.execute("SELECT count(*) FROM events").fetchone() == (1,)


async def test_it_reads_and_decides_its_own_texts_only(client, limited, generate, coffee):
    own = (await generate())["texts"][0]
    for text, status in ((own, 200), (coffee, 404)):
        path = f"/texts/{text['text_id']}"
        assert (await client.get(f"{path}/provenance", headers=limited)).status_code == status
        review = await client.post(f"{path}/review", json={"decision": "reject"}, headers=limited)
        assert review.status_code == status


async def test_it_writes_its_own_pool_ahead_only(client, limited, keys):
    theirs = {"briefs": [{"brief": KAFFEE, "platform": "generic"}]}
    own = {"briefs": [{"brief": a_request()["brief"], "platform": "google_rsa"}]}
    refusal = await client.post("/pool/prefill", json={"briefs": own["briefs"] + theirs["briefs"]}, headers=limited)
    assert refusal.json()["errors"][0]["field"] == "briefs.1.brief.ad.advertiser"
    for body, maker, status in ((own, limited, 200), (theirs, keys["generate"], 404)):
        made = (await client.post("/pool/prefill", json=body, headers=maker)).json()
        assert (await client.get(f"/pool/prefill/{made['id']}", headers=limited)).status_code == status


async def test_its_successor_is_limited_too(client, keys, limited):
    record = (await client.get("/keys", headers=keys["admin"])).json()["keys"][-1]
    fresh = await client.post(f"/keys/{record['id']}/rotate", json={}, headers=keys["admin"])
    assert (record["advertiser"], fresh.json()["advertiser"]) == (MINE, MINE)
