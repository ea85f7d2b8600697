"""`/keys`: an API key's life, from its making to its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.core.api_keys import digest_of
from app.store.models.access import ApiKey
from app.store.models.experiments import AuditEntry

IN_AN_HOUR = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.fixture
async def admin(client, bearer):
    client.headers.update(await bearer("admin"))
    return client


async def made(admin, **body):
    answer = await admin.post("/keys", json={"name": "投放系统", "scopes": ["generate"], **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def works(client, key, path="/policies") -> bool:
    return (await client.get(path, headers={"Authorization": f"Bearer {key}"})).status_code == 200


async def test_a_key_works_from_the_moment_it_is_made(admin):
    key = await made(admin, scopes=["report", "ops"], rate_per_second=50, expires_at=IN_AN_HOUR)
    assert (key["name"], key["scopes"], key["rate_per_second"]) == ("投放系统", ["ops", "report"], 50)
    assert await works(admin, key["key"])


async def test_only_a_digest_of_it_is_kept(admin, app):
    key = (await made(admin))["key"]
    async with app.state.container.database.begin() as connection:
        row = (await connection.execute(select(ApiKey).where(ApiKey.digest == digest_of(key)))).one()
        entries = (await connection.execute(select(AuditEntry.detail))).scalars().all()
    secret = key.split("_", 2)[2]
    assert secret not in str(row)
    assert secret not in str(entries)
    assert secret not in (await admin.get("/keys")).text


async def test_keys_are_listed_a_page_at_a_time(admin):
    names = [(await made(admin, name=f"key {number}"))["name"] for number in range(3)]
    before = (await admin.get("/keys")).json()["keys"][-4]["id"]
    first = (await admin.get("/keys", params={"limit": 2, "after": before})).json()
    second = (await admin.get("/keys", params={"limit": 2, "after": first["next"]})).json()
    assert [key["name"] for key in first["keys"] + second["keys"]] == names
    assert second["next"] is None


async def test_a_rotated_key_has_a_successor_and_a_grace(admin):
    old = await made(admin, scopes=["report"])
    new = (await admin.post(f"/keys/{old['id']}/rotate", json={"overlap_minutes": 30})).json()
    assert (new["name"], new["scopes"]) == (old["name"], old["scopes"])
    assert await works(admin, old["key"])
    assert await works(admin, new["key"])
    listed = {key["id"]: key for key in (await admin.get("/keys")).json()["keys"]}
    left = datetime.fromisoformat(listed[old["id"]]["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)


async def test_a_rotation_without_overlap_ends_the_old_key_now(admin):
    old = await made(admin, scopes=["report"])
    new = (await admin.post(f"/keys/{old['id']}/rotate", json={"overlap_minutes": 0})).json()
    assert not await works(admin, old["key"])
    assert await works(admin, new["key"])


async def test_a_rotation_never_lengthens_a_life(admin):
    old = await made(admin, expires_at=IN_AN_HOUR)
    await admin.post(f"/keys/{old['id']}/rotate", json={"overlap_minutes": 600})
    listed = {key["id"]: key for key in (await admin.get("/keys")).json()["keys"]}
    assert datetime.fromisoformat(listed[old["id"]]["expires_at"]) == datetime.fromisoformat(IN_AN_HOUR)


async def test_a_key_that_expires_rotates_into_one_that_expires_with_it(admin):
    old = await made(admin, expires_at=IN_AN_HOUR)
    new = (await admin.post(f"/keys/{old['id']}/rotate", json={})).json()
    assert new["expires_at"] == old["expires_at"]


async def test_an_expired_key_is_never_revived(admin, database):
    old = await made(admin, expires_at=IN_AN_HOUR)
    database.execute("UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id = %s", [old["id"]])
    for action, body in (("expire", {"expires_at": IN_AN_HOUR}), ("rotate", {})):
        refusal = await admin.post(f"/keys/{old['id']}/{action}", json=body)
        assert (refusal.status_code, refusal.json()["rule"]) == (409, "key_expired")
    assert (await admin.post(f"/keys/{old['id']}/revoke")).status_code == 200


async def test_an_admin_key_that_expires_makes_no_admin_key_that_works_longer(client, admin, bearer):
    visitor = await made(admin, scopes=["admin"], expires_at=IN_AN_HOUR)
    client.headers["Authorization"] = f"Bearer {visitor['key']}"
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    answers = [
        await client.post("/keys", json={"name": "x", "scopes": ["admin"]}),
        await client.post("/keys", json={"name": "x", "scopes": ["admin"], "expires_at": later}),
        await client.post(f"/keys/{visitor['id']}/expire", json={"expires_at": later}),
    ]
    assert [(answer.status_code, answer.json()["rule"]) for answer in answers] == [(403, "outlives_its_maker")] * 3
    assert (await client.post("/keys", json={"name": "ad server", "scopes": ["generate"]})).status_code == 201


async def test_a_revoked_key_is_refused_at_once_and_stays_so(admin):
    key = await made(admin, scopes=["report"])
    assert await works(admin, key["key"])
    assert (await admin.post(f"/keys/{key['id']}/revoke")).json()["revoked_at"]
    assert not await works(admin, key["key"])
    for action, body in (("revoke", None), ("expire", {"expires_at": IN_AN_HOUR}), ("rotate", {})):
        again = await admin.post(f"/keys/{key['id']}/{action}", json=body)
        assert (again.status_code, again.json()["rule"]) == (409, "key_revoked")


async def test_an_expiry_can_be_set(admin):
    key = await made(admin)
    changed = (await admin.post(f"/keys/{key['id']}/expire", json={"expires_at": IN_AN_HOUR})).json()
    assert datetime.fromisoformat(changed["expires_at"]) == datetime.fromisoformat(IN_AN_HOUR)


async def test_every_change_is_in_the_audit_log_with_who_made_it(admin, app):
    key = await made(admin)
    await admin.post(f"/keys/{key['id']}/rotate", json={})
    await admin.post(f"/keys/{key['id']}/revoke")
    async with app.state.container.database.begin() as connection:
        entries = (
            await connection.execute(
                select(AuditEntry).where(AuditEntry.subject == f"key:{key['id']}").order_by(AuditEntry.id)
            )
        ).all()
    assert [entry.action for entry in entries] == ["key.create", "key.rotate", "key.revoke"]
    assert all(entry.actor.startswith("a test (rk_") for entry in entries)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["generate"]}, "name"),
        ({"name": "", "scopes": ["generate"]}, "name"),
        ({"name": "a\u202eb", "scopes": ["generate"]}, "name"),
        ({"name": "広告" * 41, "scopes": ["generate"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes.0"),
        ({"name": "x", "scopes": "admin"}, "scopes"),
        ({"name": "x", "scopes": ["ops"], "rate_per_second": 0}, "rate_per_second"),
        ({"name": "x", "scopes": ["ops"], "rate_per_second": -1}, "rate_per_second"),
        ({"name": "x", "scopes": ["ops"], "rate_per_second": 1e-320}, "rate_per_second"),
        ({"name": "x", "scopes": ["generate", "report"], "advertiser": "山间咖啡"}, "scopes"),
        ({"name": "x", "scopes": ["admin"], "advertiser": "山间咖啡"}, "scopes"),
        ({"name": "x", "scopes": ["generate"], "advertiser": ""}, "advertiser"),
        ({"name": "x", "scopes": ["ops"], "expires_at": "2026-11-22T10:00:00"}, "expires_at"),
        ({"name": "x", "scopes": ["ops"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "scopes": ["ops"], "expires_at": 1}, "expires_at"),
        ({"name": "x", "scopes": ["ops"], "key": "rk_mine"}, "key"),
        ([], "body"),
        (None, "body"),
    ],
)
async def test_a_bad_key_is_refused_by_field(refusing, body, field):
    refusal = await refusing("admin").post("/keys", json=body)
    assert refusal.status_code == 422
    assert [problem["field"] for problem in refusal.json()["errors"]] == [field]


@pytest.mark.parametrize(("number", "status"), [("999", 404), ("0", 422), ("-1", 422), ("abc", 422), (str(2**63), 422)])
async def test_an_unknown_key_is_named(refusing, number, status):
    refusal = await refusing("admin").post(f"/keys/{number}/revoke")
    assert (refusal.status_code, refusal.json()["errors"][0]["field"]) == (status, "key_id")


@pytest.mark.parametrize("scope", ["generate", "events", "report", "review", "ops"])
async def test_only_admins_see_or_change_keys(client, bearer, scope):
    client.headers.update(await bearer(scope))
    assert [(await client.get("/keys")).status_code, (await client.post("/keys/1/revoke")).status_code] == [403, 403]
