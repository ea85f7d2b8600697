"""Pixels: the browser reports by itself; the token is the credential."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

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
