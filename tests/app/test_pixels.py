"""Pixels: the browser reports by itself; the token is the credential."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import psycopg
import pytest
from counting import an_event

PERSON = {
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 "
    "Mobile/15E148 Safari/604.1"
}


def flags(database: psycopg.Connection[tuple[Any, ...]]) -> list[tuple[int, str | None]]:
    """(kind, invalid_reason) of every event."""
    return [
        (row[0], row[1])
        for row in database.execute("SELECT kind, invalid_reason FROM events ORDER BY kind, invalid_reason NULLS FIRST")
    ]


async def outcome(ad_system, database) -> tuple[bool, bool]:
    """Whether the only token counts a click, and whether it is invalid."""
    await ad_system.container.aggregation.catch_up()
    ((clicked, invalid),) = database.execute("SELECT clicked, invalid FROM exposures").fetchall()
    return clicked, invalid


async def test_a_person_leaves_one_impression_and_one_click_however_often_the_pixels_load(ad_system, database):
    token = ad_system.serve()
    for kind in ("impression", "click", "impression"):
        answer = await ad_system.client.get(f"/pixel/{kind}", params={"token": token}, headers=PERSON)
        assert (answer.status_code, answer.headers["content-type"], len(answer.content)) == (200, "image/gif", 43)
        assert "no-store" in answer.headers["cache-control"]
    assert flags(database) == [(0, None), (1, None)]


@pytest.mark.parametrize(
    ("method", "headers", "reason"),
    [
        ("HEAD", PERSON, "head"),
        ("GET", {**PERSON, "Sec-Purpose": "prefetch;prerender"}, "prefetch"),
        ("GET", {**PERSON, "Purpose": "prefetch"}, "prefetch"),
        ("GET", {**PERSON, "X-Moz": "prefetch"}, "prefetch"),
        ("GET", {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, "bot"),
        ("GET", {"User-Agent": "Mozilla/5.0 (compatible; Baiduspider/2.0)"}, "bot"),
        ("GET", {"User-Agent": "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"}, "bot"),
        ("GET", {"User-Agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}, "bot"),
        ("GET", {"User-Agent": "TelegramBot (like TwitterBot)"}, "bot"),
        ("GET", {"User-Agent": "WhatsApp/2.23.20.0"}, "bot"),
        ("GET", {"User-Agent": "facebookexternalhit/1.1; kakaotalk-scrap/1.0; +https://devtalk.kakao.com/"}, "bot"),
        ("GET", {"User-Agent": "python-requests/2.32.3"}, "bot"),
        ("GET", {"User-Agent": ""}, "bot"),
    ],
)
async def test_what_no_person_loaded_is_stored_flagged_and_not_in_a_persons_way(
    ad_system, database, method, headers, reason
):
    token = ad_system.serve()
    await ad_system.client.request(method, "/pixel/impression", params={"token": token}, headers=headers)
    await ad_system.client.get("/pixel/impression", params={"token": token}, headers=PERSON)
    assert flags(database) == [(0, None), (0, reason)]
    assert await outcome(ad_system, database) == (False, False)  # the person's view stands, and is valid


@pytest.mark.parametrize("kinds", [["impression"], ["impression", "click"]])
async def test_what_only_a_machine_loaded_is_invalid(ad_system, database, kinds):
    token = ad_system.serve()
    for kind in kinds:
        await ad_system.client.get(f"/pixel/{kind}", params={"token": token}, headers=PERSON | {"Purpose": "prefetch"})
    assert await outcome(ad_system, database) == (len(kinds) == 2, True)


async def test_a_machines_click_on_a_persons_view_is_no_click(ad_system, database):
    token = ad_system.serve()
    await ad_system.client.get("/pixel/impression", params={"token": token}, headers=PERSON)
    await ad_system.client.get("/pixel/click", params={"token": token}, headers={"User-Agent": "Twitterbot/1.0"})
    assert await outcome(ad_system, database) == (False, False)


@pytest.mark.parametrize(
    "agent",
    [
        "okhttp/4.12.0",
        "Dalvik/2.1.0 (Linux; U; Android 14; SM-S921B Build/UP1A.231005.007)",
        "MyShop/7.1 CFNetwork/1568.200.51 Darwin/24.1.0",
        "Mozilla/5.0 (Linux; Android 13; M2012K11AC; wv) AppleWebKit/537.36 Chrome/107.0 Mobile Safari/537.36 "
        "MicroMessenger/8.0.43 NetType/WIFI Language/zh_CN",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Line/14.0.0",
        "Mozilla/5.0 (Linux; U; Android 9; zh-CN; CUBOT_NOTE) AppleWebKit/537.36 Mobile Safari/537.36",
    ],
)
async def test_apps_and_phones_are_people(ad_system, database, agent):
    await ad_system.client.get("/pixel/click", params={"token": ad_system.serve()}, headers={"User-Agent": agent})
    assert flags(database) == [(1, None)]


async def test_a_key_for_events_cannot_take_the_id_of_a_pixel(ad_system, database):
    token = ad_system.serve()
    old = f"pixel:impression:{blake2b(token.encode(), digest_size=16).hexdigest()}"
    taken = [an_event(ad_system.serve(), event_id=old), an_event(token, "click", event_id="pixel:person")]
    refused = [an_event(token, event_id=event_id) for event_id in ("pixel/person", "pixel/machine")]
    answers = await ad_system.report(*taken, *refused)
    assert [answer["status"] for answer in answers] == ["accepted"] * 2 + ["rejected"] * 2
    await ad_system.client.get("/pixel/impression", params={"token": token}, headers=PERSON)
    mine = database.execute("SELECT count(*) FROM events WHERE event_id = 'pixel/person' AND kind = 0").fetchone()
    assert mine == (1,)


async def test_a_token_that_is_not_ours_is_refused_by_name(ad_system, database):
    token = ad_system.serve()
    altered = token[:50] + ("A" if token[50] != "A" else "B") + token[51:]
    for bad in (altered, "x", "印象"):
        answer = await ad_system.client.get("/pixel/click", params={"token": bad}, headers=PERSON)
        assert (answer.status_code, answer.json()["rule"]) == (422, "forged_token")
    assert flags(database) == []


async def test_a_click_pixel_never_redirects(ad_system):
    answer = await ad_system.client.get(
        "/pixel/click", params={"token": ad_system.serve(), "to": "https://elsewhere.example"}, headers=PERSON
    )
    assert (answer.status_code, "location" in answer.headers) == (200, False)
