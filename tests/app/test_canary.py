"""Canaries on a real database: a passed policy takes traffic step by step, and a bad one is stopped by one look."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from counting import AdSystem, a_funnel, digest
from fakes import FakePolicyServer
from markupsafe import escape
from page_visits import csrf_of, read
from registering import answers
from reported import MATURE, fill
from service import Database, a_request
from shell import relate

from abtest.events import Source
from app.core.problems import Problem
from app.jobs.schedules import Schedules
from app.policies.vllm_http import DOWN_S
from app.services.canary import ramp
from app.services.canary.looks import Looks
from app.services.canary.rules import CanaryRules
from app.store import canaries, policies
from app.store.experiments import audit_of
from tests.trainer.gate_reports import a_gate_report

EAGER = {"hours_per_share": 0, "window_hours": 24, "planned_units": 1000}


class Canary:
    """A challenger that passed the gate, and its canary: start it, let time pass, look."""

    def __init__(self, app: Any, ops: Any, database: Database) -> None:
        self.container, self.ops, self.database, self.version = app.state.container, ops, database, ""

    async def register(self, *, passed: bool = True, against: str | None = None, **over: Any) -> str:
        body = {"name": "relate", "kind": "vllm", "model": "relate-8b", "locales": ["en-US", "en-GB", "zh-CN"]} | over
        self.version = (await self.ops.post("/policies", json=body)).json()["version"]
        champion = {"name": against or await self.champion(), "digests": {"policy": "aa11"}}
        report = a_gate_report(self.version, passed=passed, champion=champion)
        assert (await self.ops.post(f"/policies/{self.version}/gate", json=report)).status_code == 201
        return self.version

    async def aliases(self) -> dict[str, str]:
        async with self.container.database.begin() as connection:
            return await policies.aliases(connection)

    async def champion(self) -> str:
        return (await self.aliases())["champion"]

    async def start(self, **rules: Any) -> Any:
        return await ramp.start(
            self.container.database, self.container.clients, self.container.adapters, self.version,
            CanaryRules(**EAGER | rules), layer="default", actor="a test",
        )  # fmt: skip

    async def look(self) -> str:
        container = self.container
        (line,) = await Looks(container.database, container.promotions, container.aggregation).look()
        await container.state.refresh()
        assert line.startswith(f"{self.version}: ")
        return line.removeprefix(f"{self.version}: ")

    async def look_when_mature(self) -> str:
        """A look at the time at which what was just shown is mature."""
        with patch("app.services.reports.reading.now", return_value=datetime.fromisoformat(MATURE)):
            return await self.look()

    async def row(self) -> Any:
        async with self.container.database.begin() as connection:
            return (await canaries.latest(connection, [self.version]))[self.version]

    async def covered(self) -> int:
        """Buckets of the layer that the experiment covers."""
        low, high = self.database.execute("SELECT low, high FROM experiments WHERE state = 'running'").fetchone()
        return high - low

    async def phase(self) -> int:
        row = await self.row()
        return int(self.container.state.registry.experiments[row.experiment].phase_id)

    async def requests(self, arm: int, source: Source, count: int, latency: int = 60) -> None:
        """Requests that this arm has answered today, from this source."""
        values = (await self.phase(), arm, int(source), latency, count)
        self.database.execute("INSERT INTO request_days VALUES (%s, now()::date, %s, %s, %s, %s)", values)

    async def audited(self) -> list[str]:
        async with self.container.database.begin() as connection:
            entries = await audit_of(connection, f"policy:{self.version}")
        return [entry.action for entry in reversed(entries) if entry.action.startswith("canary.")]


@pytest.fixture
async def canary(app: Any, client: Any, bearer: Any, database: Database, upstream: FakePolicyServer) -> Canary:
    upstream.answer = answers
    client.headers.update(await bearer("ops", "report"))
    made = Canary(app, client, database)
    await made.register()
    return made


async def ramping(canary: Canary, **rules: Any) -> None:
    await canary.start(**rules)
    assert await canary.look() == "ramp: on 1 %"


async def test_a_passed_policy_takes_a_growing_share_of_the_layer(canary: Canary) -> None:
    await ramping(canary)
    assert (await canary.row()).state == "ramping" and await canary.covered() == 100
    assert (await canary.aliases())["challenger"] == canary.version
    running = canary.container.state.registry.running["default"][0]
    assert running.policies == (await canary.champion(), canary.version)
    covered = []
    for _ in range(4):
        await canary.look()
        covered.append(await canary.covered())
    assert covered == [500, 2000, 5000, 5000]
    assert await canary.audited() == ["canary.start", "canary.begin", *["canary.ramp"] * 3]


@pytest.mark.parametrize("bad", ["fallback", "no text", "latency", "compliance", "judge", "sample ratio", "violations"])
async def test_a_planted_bad_policy_is_paused_by_one_look(canary: Canary, ad_system: AdSystem, bad: str) -> None:
    await ramping(canary)
    for arm in (0, 1):
        await canary.requests(arm, Source.POOL, 2000)
    if bad in ("fallback", "no text"):
        await canary.requests(1, {"fallback": Source.TEMPLATE, "no text": Source.NONE}[bad], 1000)
    elif bad == "latency":
        await canary.requests(1, Source.POOL, 1000, latency=120)
    elif bad in ("compliance", "judge"):
        for version, good in ((await canary.champion(), 95), (canary.version, 10)):
            counts = (100, good, good, good) if bad == "compliance" else (100, 100, 100, good)
            statement = (
                "INSERT INTO candidate_counts (policy_id, rules_version, day, candidates, compliant, judged, passed) "
                "SELECT id, 'r', now()::date, %s, %s, %s, %s FROM policies WHERE version = %s"
            )
            canary.database.execute(statement, (*counts, version))
    elif bad == "sample ratio":
        rows = [
            (await canary.phase(), f"{arm}{number:015}".encode(), arm)
            for arm in (0, 1)
            for number in range(400 * arm + 200)
        ]
        with canary.database.cursor() as cursor:
            cursor.executemany("INSERT INTO assigned_units VALUES (%s, %s, %s, now())", rows)
    else:
        await _violations(canary, ad_system)
    said = await canary.look()
    assert said.startswith("pause: "), said
    row = await canary.row()
    assert row.state == "paused" and row.reason == said.removeprefix("pause: ")
    assert (await canary.audited())[-1] == "canary.pause"
    assert await canary.look() == row.reason and await canary.covered() == 100  # it stays where it is


async def _violations(canary: Canary, ad_system: AdSystem) -> None:
    """Impressions of the challenger's texts that a reviewer has rejected since."""
    canary.database.execute(
        "INSERT INTO texts (id, pool_key, policy_id, origin, state, title, description, brief_digest, advertiser,"
        " ad_id, industry, locale, platform, spec_version, rules_version, score, findings, reviewed_by) SELECT"
        " %s, 'k', id, 'model', 'rejected', '最佳', '全网最低', 'b', '青禾', 'a', 'apparel', 'zh-CN', 'generic', '1',"
        " 'r', 1, '[]', 'a person' FROM policies WHERE version = %s",
        (UUID(bytes=digest("rejected")), canary.version),
    )
    phase, events, at = await canary.phase(), [], datetime.now(UTC) - timedelta(minutes=1)
    for arm in (0, 1):
        for number in range(200):
            text = "rejected" if arm == 1 and number < 100 else "good"
            events += a_funnel(ad_system.serve(f"{arm}-{number}", phase=phase, arm=arm, text=text, at=at), at)
    await ad_system.report(*events)


async def test_harm_on_ctcvr_rolls_back_by_itself(canary: Canary, ad_system: AdSystem) -> None:
    await ramping(canary)
    before = await canary.champion()
    await fill(ad_system, await canary.phase(), units=(600, 600), converted=(120, 15))
    said = await canary.look_when_mature()
    assert said.startswith("roll back: harm on CTCVR: challenger is worse"), said
    assert (await canary.row()).state == "rolled_back" and await canary.champion() == before
    assert "challenger" not in await canary.aliases()
    assert canary.container.state.registry.running.get("default", ()) == ()
    assert (await canary.audited())[-1] == "canary.roll_back"


@pytest.mark.parametrize("by_itself", [True, False])
async def test_a_win_promotes_where_the_rules_allow_it_and_asks_otherwise(
    canary: Canary, ad_system: AdSystem, by_itself: bool
) -> None:
    await ramping(canary, promote_on_win=by_itself)
    before = await canary.champion()
    await fill(ad_system, await canary.phase(), units=(600, 600), converted=(15, 120))
    said = await canary.look_when_mature()
    if by_itself:
        assert said.startswith("promote: challenger is better")
        assert await canary.aliases() == {"champion": canary.version, "previous": before}
        assert (await canary.row()).state == "promoted"
        return
    assert said.startswith("ask: challenger is better") and await canary.champion() == before
    assert (await canary.row()).state == "won"
    body = {"action": "promote", "version": canary.version}
    assert (await canary.ops.post("/policies/champion", json=body)).status_code == 200
    assert await canary.look_when_mature() == f"promote: {canary.version} was made champion"
    assert (await canary.row()).state == "promoted" and "challenger" not in await canary.aliases()


async def test_a_win_of_a_policy_that_no_longer_answers_promotes_nothing(
    canary: Canary, ad_system: AdSystem, upstream: FakePolicyServer
) -> None:
    await ramping(canary, promote_on_win=True)
    before = await canary.champion()
    await fill(ad_system, await canary.phase(), units=(600, 600), converted=(15, 120))
    upstream.status = 503
    assert "cannot be reached" in await canary.look_when_mature()
    assert (await canary.row()).state == "ramping" and await canary.champion() == before


async def test_a_paused_ramp_is_resumed_in_a_new_phase_and_rolled_back_by_hand(canary: Canary) -> None:
    await ramping(canary)
    await canary.requests(0, Source.POOL, 2000)
    await canary.requests(1, Source.TEMPLATE, 2000)
    await canary.look()
    first, address = await canary.phase(), f"/policies/{canary.version}/canary"
    resumed = await canary.ops.post(address, json={"action": "resume"})
    assert resumed.status_code == 200 and resumed.json()["state"] == "ramping", resumed.text
    await canary.container.state.refresh()
    assert await canary.phase() != first
    assert (await canary.look()).startswith("ramp: ")  # the counts began anew
    refused = await canary.ops.post(address, json={"action": "resume"})
    assert (refused.status_code, refused.json()["rule"]) == (409, "wrong_state")
    ended = await canary.ops.post(address, json={"action": "roll_back", "reason": "写得不好"})
    assert (ended.json()["state"], ended.json()["reason"]) == ("rolled_back", "写得不好")
    assert (await canary.ops.post(address, json={"action": "roll_back"})).json()["rule"] == "no_canary"


async def test_the_ramp_waits_until_what_is_in_use_is_written_ahead(canary: Canary, generate: Any) -> None:
    await generate(a_request())
    with patch.object(ramp, "warm", return_value=False):
        await canary.start()
        assert (await canary.look()).endswith("wait to be written ahead")
    row = await canary.row()
    assert row.state == "warming" and row.prefill_id is not None and row.experiment is None
    versions = canary.database.execute("SELECT DISTINCT policy_version FROM prefill_items").fetchall()
    assert versions == [(canary.version,)]
    late = datetime.now(UTC) + timedelta(hours=CanaryRules().warm_hours)
    assert ramp.warm(row, CanaryRules(), 3, late) and not ramp.warm(row, CanaryRules(), 3, datetime.now(UTC))


async def test_what_may_not_start_is_refused_and_leaves_nothing(canary: Canary, upstream: FakePolicyServer) -> None:
    before = await canary.aliases()
    passed = canary.version

    async def refusal(version: str) -> str:
        canary.version = version
        with pytest.raises(Problem) as refused:
            await canary.start()
        assert "\n" not in refused.value.detail
        return refused.value.rule

    upstream.status = 503
    assert await refusal(passed) == "policy_unreachable"
    upstream.status = 200
    assert await refusal("relate-没有") == "unknown_policy"
    assert await refusal(await canary.champion()) == "already_there"
    assert await refusal(await canary.register(passed=False, model="b")) == "gate_failed"
    assert await refusal(await canary.register(against="relate-old", model="c")) == "gate_of_another_champion"
    assert await canary.aliases() == before
    canary.version = passed
    await asyncio.sleep(DOWN_S)  # after a failure its server is not asked for so long
    await canary.start()
    assert await refusal(await canary.register(model="d")) == "canary_open"
    assert (await canary.aliases())["challenger"] == passed


async def test_no_room_in_the_layer_is_said_and_tried_again(canary: Canary) -> None:
    body = {"name": "whole-layer", "arms": [{"name": name, "policy": "champion", "weight": 1} for name in "ab"]}
    assert (await canary.ops.post("/experiments", json=body)).status_code == 201
    await canary.ops.post("/experiments/whole-layer/start")
    await canary.start()
    assert "the layer has no room for 1 %" in await canary.look()
    assert (await canary.row()).state == "warming"
    await canary.ops.post("/experiments/whole-layer/stop")
    assert await canary.look() == "ramp: on 1 %"


async def test_the_schedule_looks_while_a_canary_is_open_and_only_then(canary: Canary, database: Database) -> None:
    settings = canary.container.settings.replaced(canary_cron="* * * * *", retention_cron="", backup_cron="")
    schedules, now = Schedules(settings, canary.container.database), datetime.now(UTC)

    async def jobs(minutes: int) -> int:
        await schedules.look(now + timedelta(minutes=minutes))
        return int((database.execute("SELECT count(*) FROM jobs WHERE kind = 'canary'").fetchone() or (0,))[0])

    assert [await jobs(0), await jobs(1)] == [0, 0]
    await canary.start()
    assert [await jobs(2), await jobs(2), await jobs(3)] == [1, 1, 1]  # the first one has not run yet


async def test_the_command_of_the_job_starts_a_canary_once_and_looks(canary: Canary) -> None:
    """What a worker runs: in a process of its own, with the settings in its environment."""
    settings = canary.container.settings
    job = database_job(canary.database)
    rules = json.dumps(EAGER | {"warm_briefs": 0})
    arguments = ("canary", f"--policy={canary.version}", f"--rules={rules}")
    environment = settings.environment() | {"RELATE_JOB": job}
    first, second = [await asyncio.to_thread(relate, *arguments, **environment) for _ in range(2)]
    assert (first.status, first.stdout) == (0, f"{canary.version}: ramp: on 1 %\n"), first.stderr
    assert second.stdout == f"{canary.version}: ramp: the guardrails hold on 1 %\n"
    again = await asyncio.to_thread(relate, *arguments, **settings.environment())
    assert again.status == 3 and "has not ended (ramping)" in again.stdout
    unknown = await asyncio.to_thread(relate, "canary", "--policy=没有", **settings.environment())
    assert unknown.status == 1 and "there is no policy" in unknown.stderr


def database_job(database: Database) -> str:
    """A job that a canary may name as the one that started it."""
    job = str(uuid4())
    database.execute(
        "INSERT INTO jobs (id, kind, state, reason, actor, parameters) VALUES (%s, 'canary', 'running', "
        "'manual', 'x', '{}')",
        (job,),
    )
    return job


async def test_the_pages_show_where_a_canary_stands_and_steer_it(canary: Canary, operator: Any) -> None:
    await ramping(canary)
    await canary.requests(0, Source.POOL, 2000)
    await canary.requests(1, Source.TEMPLATE, 2000)
    await canary.look()
    address, reason = f"/pages/policies/{canary.version}", escape("fallback share 100.0%, the champion's 0.0%")
    page = await read(operator, address)
    assert "Canary paused 1 %" in page and reason in page and "1 % → 5 % → 20 % → 50 %" in page
    assert "canary.pause by canary: fallback share" in page
    assert f"{canary.version} challenger" in await read(operator, "/pages/policies")
    assert f"canary of {canary.version} , paused: {reason}" in await read(operator, "/pages/experiments")
    for action, state in (("resume", "ramping"), ("roll_back", "rolled_back")):
        form = {"csrf": csrf_of(await operator.get(address)), "action": action, "reason": "写得不好"}
        assert (await operator.post(f"{address}/canary", data=form)).status_code == 303
        assert (await canary.row()).state == state
    assert "rolled back" in await read(operator, address) and (await canary.row()).reason == "写得不好"
