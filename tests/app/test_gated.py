"""A gate job registers the policy that it is about, with what it was made from, and stores its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from job_platform import JobPlatform

from app.jobs.schedules import Schedules
from app.services.jobs import requests
from app.services.jobs.artifacts import digest_of
from app.services.jobs.triggers import fallen_guardrail
from app.store import jobs as store
from app.store import policies
from app.store.experiments import audit_of

MODEL = "relate-en-5"  # the packaged policy, which has no digest


async def registered(platform: JobPlatform) -> dict[str, Any]:
    """Every policy by its model, but for templates."""
    async with platform.database.begin() as connection:
        rows = await policies.list_policies(connection, 2**63 - 1, 100)
    return {row.model: row for row in rows if row.model}


async def reports(platform: JobPlatform, version: str) -> list[Any]:
    async with platform.database.begin() as connection:
        return list(await policies.gate_reports(connection, version))


@pytest.mark.parametrize("passed", [True, False])
async def test_a_chain_registers_its_policy_and_stores_the_decision_whatever_it_is(
    platform: JobPlatform, passed: bool
) -> None:
    if not passed:
        platform.tell("evaluate-gate", fail="Fail", status=3)
    chain = await platform.run(await platform.ask("retrain"))
    _, _, grpo, _, gate = (await platform.steps(chain))[:5]
    assert gate.state == ("succeeded" if passed else "rejected")
    found = await registered(platform)
    artifact = grpo.outputs[0]["path"]
    policy, champion = found[Path(artifact).name], found[MODEL]
    assert (policy.artifact, policy.parent, policy.endpoint) == (artifact, champion.version, None)
    assert policy.version.startswith("relate-") and policy.metrics == {"diversity": 0.9}
    assert (policy.locales, policy.decoding) == (champion.locales, champion.decoding)
    (report,) = await reports(platform, policy.version)
    assert (report.passed, report.job_id, report.champion) == (passed, gate.id, champion.version)
    assert report.report["challenger"]["digests"]["policy"] == policy.digest
    async with platform.database.begin() as connection:
        audited = [entry.action for entry in await audit_of(connection, f"policy:{policy.version}")]
    assert audited == ["gate.pass" if passed else "gate.fail", "policy.register"]


async def test_what_the_training_recorded_is_kept_with_the_policy(platform: JobPlatform) -> None:
    chain = await platform.ask("retrain")
    runner = platform.runner()
    while (step := next((step for step in await platform.steps(chain) if step.state == "queued"), None)) is not None:
        if step.kind == "gate":
            _, reward, grpo, *_ = await platform.steps(chain)
            run = platform.settings.data_dir / "jobs" / str(grpo.id) / "run" / "run.json"
            run.write_text(
                json.dumps({"config": {"steps": 4, "lora": {"rank": 2}}, "digests": {"policy": "an adapter"}})
            )
            manifest = platform.settings.data_dir / reward.outputs[0]["path"] / "manifest.json"
            manifest.write_text(json.dumps({"data": "of the logs"}))
            reward.outputs[0]["digest"] = digest_of(manifest.parent)
            async with platform.database.begin() as connection:
                await store.change(connection, reward.id, outputs=reward.outputs)
        await runner.run(step.id)
    policy = (await registered(platform))[Path(grpo.outputs[0]["path"]).name]
    assert policy.config == {"steps": 4, "lora": {"rank": 2}} and policy.snapshot == "of the logs"


async def test_a_gate_that_runs_again_adds_a_decision_and_no_version(platform: JobPlatform) -> None:
    platform.tell("evaluate-gate", fail="Fail", status=3)
    chain = await platform.run(await platform.ask("retrain"))
    before = await registered(platform)
    platform.tell("evaluate-gate")
    async with platform.database.begin() as connection:
        await requests.retry(connection, chain.id, actor="a test")
    assert (await platform.run(chain)).state == "succeeded"
    after = await registered(platform)
    assert after.keys() == before.keys()
    (new,) = after.keys() - {MODEL}
    assert [report.passed for report in await reports(platform, after[new].version)] == [True, False]


async def test_a_version_states_the_locales_that_its_gate_looked_at(platform: JobPlatform) -> None:
    async with platform.database.begin() as connection:
        statement = "UPDATE policies SET locales = '{en-US,zh-CN,ja-JP}' WHERE model = 'relate-en-5'"
        await connection.exec_driver_sql(statement)
    await platform.run(await platform.ask("retrain", language="zh"))
    found = await registered(platform)
    (new,) = found.keys() - {MODEL}
    assert found[new].locales == ["zh-CN"]


async def test_a_policy_that_started_from_another_one_names_it_by_its_weights(platform: JobPlatform) -> None:
    """The champion may have changed since: the digest of the start decides."""
    await platform.run(await platform.ask("retrain"))
    first = next(row for model, row in (await registered(platform)).items() if model != MODEL)
    grpo = await platform.ask("grpo", policy=first.artifact)
    await platform.run(grpo)
    done = await platform.find(grpo.id)
    run = platform.settings.data_dir / "jobs" / str(grpo.id) / "run" / "run.json"
    run.write_text(json.dumps({"config": {}, "digests": {"policy": first.digest}}))
    artifact = platform.settings.data_dir / done.outputs[0]["path"]
    other = artifact.with_name("relate-20261129-eeeeee")
    artifact.rename(other)  # the stand-in trains the same weights each time
    path = f"artifacts/policies/{other.name}"
    async with platform.database.begin() as connection:
        await store.change(connection, grpo.id, outputs=[done.outputs[0] | {"path": path}])
    models = {name: f"artifacts/reward-models/reward-{name}-1" for name in ("reward_model", "held_out_reward_model")}
    gate = await platform.run(await platform.ask("gate", policy=path, **models))
    assert gate.error is None
    assert (await registered(platform))[other.name].parent == first.version


async def test_a_gate_without_a_report_that_can_be_read_fails(platform: JobPlatform) -> None:
    platform.tell("evaluate-gate", unreadable=True)
    chain = await platform.run(await platform.ask("retrain"))
    assert chain.state == "failed" and "is no report of the gate" in chain.error
    assert (await registered(platform)).keys() == {MODEL}


async def fallen(platform: JobPlatform, **limits: float) -> str | None:
    async with platform.database.begin() as connection:
        return await fallen_guardrail(connection, platform.settings.replaced(**limits))


async def test_a_guardrail_of_the_champion_that_falls_starts_one_chain_and_keeps_the_reason(
    platform: JobPlatform,
) -> None:
    written = (
        "INSERT INTO candidate_counts (policy_id, rules_version, day, candidates, compliant, judged, passed) "
        "SELECT id, 'r', (now() AT TIME ZONE 'UTC')::date - {ago}, 1000, {good}, 800, 300 FROM policies "
        "WHERE model = '{model}'"
    )
    async with platform.database.begin() as connection:
        for ago, good in ((0, 850), (1, 850), (2, 10)):  # the day before yesterday is over
            await connection.exec_driver_sql(written.format(ago=ago, good=good, model=MODEL))
    assert await fallen(platform) is None
    assert await fallen(platform, retrain_compliance=0.86) is None  # no more than chance
    said = await fallen(platform, retrain_compliance=0.95, retrain_judge_pass=0.5)
    assert said is not None and said.startswith("Compliance Rate 85.0% of 2,000 since ")
    assert "the judge passes 37.5% of 1,600" in said
    schedules = Schedules(platform.settings.replaced(retrain_compliance=0.95), platform.database)
    await schedules.look()
    async with platform.database.begin() as connection:
        (chain,) = await store.listed(connection, limit=10, kind="retrain")
    assert chain.reason == "guardrail" and chain.actor.endswith(", under 95.0%")
    assert await fallen(platform, retrain_compliance=0.95) is None  # until there are texts of a day after it


async def test_few_texts_are_no_fallen_guardrail(platform: JobPlatform) -> None:
    few = (
        "INSERT INTO candidate_counts (policy_id, rules_version, day, candidates, compliant) "
        f"SELECT id, 'r', (now() AT TIME ZONE 'UTC')::date, 199, 0 FROM policies WHERE model = '{MODEL}'"
    )
    async with platform.database.begin() as connection:
        await connection.exec_driver_sql(few)
    assert await fallen(platform, retrain_compliance=0.95) is None
