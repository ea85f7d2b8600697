"""Jobs over HTTP and on the command line: who may do what, and how a refusal reads."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from job_platform import JobPlatform

from app.core.settings import Settings

Keys = dict[str, dict[str, str]]


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.replaced(secrets_file=settings.secrets_path, data_dir=tmp_path / "data")


@pytest.fixture
def platform(settings: Settings, tmp_path: Path) -> JobPlatform:
    (tmp_path / "commands").mkdir()
    return JobPlatform(settings, tmp_path / "commands")


async def test_a_job_from_request_to_log(client: httpx.AsyncClient, keys: Keys, platform: JobPlatform) -> None:
    ops = keys["ops"]
    started = await client.post("/jobs", json={"kind": "export"}, headers=ops)
    assert (started.status_code, started.json()["state"], started.json()["new"]) == (202, "queued", True)
    assert started.json()["actor"].startswith("ops (rk_")
    again = await client.post("/jobs", json={"kind": "export"}, headers=ops)
    assert (again.status_code, again.json()["id"], again.json()["new"]) == (200, started.json()["id"], False)
    await platform.run(await platform.find(started.json()["id"]))
    shown = (await client.get(f"/jobs/{started.json()['id']}", headers=ops)).json()
    assert (shown["state"], shown["outputs"][0]["name"]) == ("succeeded", "snapshot")
    log = await client.get(f"/jobs/{shown['id']}/log", headers=ops)
    assert (log.text, log.headers["content-type"]) == ("export begins\n", "text/plain; charset=utf-8")


async def test_a_chain_is_one_entry_of_the_list_and_shows_its_steps(
    client: httpx.AsyncClient, keys: Keys, platform: JobPlatform
) -> None:
    chain = (await client.post("/jobs", json={"kind": "retrain"}, headers=keys["ops"])).json()
    assert [(step["kind"], step["state"]) for step in chain["steps"]] == [
        ("export", "queued"), ("reward", "waiting"), ("grpo", "waiting"), ("evaluate", "waiting"), ("gate", "waiting"),
        ("canary", "waiting"),
    ]  # fmt: skip
    backup = (await client.post("/jobs", json={"kind": "backup"}, headers=keys["ops"])).json()
    first = (await client.get("/jobs", params={"limit": 1}, headers=keys["ops"])).json()
    rest = (await client.get("/jobs", params={"before": first["next"]}, headers=keys["ops"])).json()
    assert [job["id"] for job in (*first["jobs"], *rest["jobs"])] == [backup["id"], chain["id"]]
    cancelled = await client.post(f"/jobs/{chain['id']}/cancel", headers=keys["ops"])
    assert {step["state"] for step in cancelled.json()["steps"]} == {"cancelled"}
    retried = await client.post(f"/jobs/{chain['id']}/retry", headers=keys["ops"])
    assert [step["state"] for step in retried.json()["steps"]] == ["queued", *["waiting"] * 5]


@pytest.mark.parametrize("scope", ["generate", "events", "report", "review"])
async def test_jobs_are_for_operators(client: httpx.AsyncClient, keys: Keys, scope: str) -> None:
    job = f"/jobs/{uuid4()}"
    for method, path in (("POST", "/jobs"), ("GET", "/jobs"), ("GET", job), ("GET", f"{job}/log"),
                         ("POST", f"{job}/cancel"), ("POST", f"{job}/retry")):  # fmt: skip
        answer = await client.request(
            method, path, json={"kind": "backup"} if path == "/jobs" else None, headers=keys[scope]
        )
        assert (answer.status_code, answer.json()["rule"]) == (403, "missing_scope"), path


async def test_a_refusal_names_field_and_rule(client: httpx.AsyncClient, keys: Keys) -> None:
    answer = await client.post("/jobs", json={"kind": "grpo", "parameters": {"set": ["steps=0"]}}, headers=keys["ops"])
    assert (answer.status_code, answer.json()["rule"]) == (422, "config")
    assert answer.json()["errors"][0]["field"] == "parameters.grpo"
    for path in ("", "/log"):
        assert (await client.get(f"/jobs/{uuid4()}{path}", headers=keys["ops"])).status_code == 404
