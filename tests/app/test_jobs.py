"""One job at a time: how it is asked for, run, cancelled, retried, and what of it is refused."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_commands import runs
from job_platform import JobPlatform, lives
from trials import ArmOf, run

from app.core.problems import Problem
from app.jobs import sweeper
from app.jobs.schedules import Schedules, latest
from app.jobs.sweeper import Sweeper
from app.services.events.aggregation import Aggregation
from app.services.jobs import requests
from app.services.jobs.triggers import fresh_conversions
from app.store import job_queue
from app.store import jobs as store


async def until_running(platform: JobPlatform, command: str) -> None:
    while not (platform.folder / f"{command}.pid").exists():
        await asyncio.sleep(0.02)


async def test_a_job_leaves_its_artifact_with_a_digest_and_its_log(platform: JobPlatform) -> None:
    job = await platform.run(await platform.ask("export"))
    assert (job.state, job.error, job.attempt, job.last_line) == ("succeeded", None, 1, "export begins")
    (snapshot,) = job.outputs
    assert snapshot["path"] == f"jobs/{job.id}/snapshot" and len(snapshot["digest"]) == 64
    assert (platform.settings.data_dir / snapshot["path"] / "manifest.json").exists()
    assert job.started_at <= job.ended_at


async def test_a_chain_hands_on_what_each_step_made(platform: JobPlatform) -> None:
    chain = await platform.run(await platform.ask("retrain", language="zh"))
    assert chain.state == "succeeded"
    steps = await platform.steps(chain)
    export, reward, grpo, evaluate, gate, canary = steps
    assert {step.state for step in steps} == {"succeeded"}
    assert reward.inputs == export.outputs
    assert [made["path"] for made in reward.outputs] == [
        "artifacts/reward-models/reward-reward_model-1", "artifacts/reward-models/reward-held_out_reward_model-1",
    ]  # fmt: skip
    assert grpo.inputs == reward.outputs and (grpo.done, grpo.total) == (4, 100)
    (policy,) = grpo.outputs
    assert (
        policy["path"].startswith("artifacts/policies/relate-") and policy in evaluate.inputs and policy in gate.inputs
    )
    assert "language=zh" in grpo.parameters["set"]
    assert canary.parameters["policy"] == policy["path"] and policy in canary.inputs


async def test_a_gate_that_says_no_is_a_rejection_and_no_failure(platform: JobPlatform) -> None:
    platform.tell("evaluate-gate", fail="Fail", status=3)
    chain = await platform.run(await platform.ask("retrain"))
    assert chain.state == "rejected"
    assert chain.error.startswith("gate: Fail: relate-") and chain.error.endswith(": diversity: 0.21 under 0.40.")
    assert (await platform.states(chain))["gate"] == "rejected"


async def test_a_canary_that_may_not_start_now_rejects_its_step_and_fails_nothing(platform: JobPlatform) -> None:
    platform.tell("canary", fail="the canary of relate-1 has not ended (ramping): relate-2 waits", status=3)
    chain = await platform.run(await platform.ask("retrain"))
    assert (chain.state, (await platform.states(chain))["gate"]) == ("rejected", "succeeded")
    assert chain.error == "canary: the canary of relate-1 has not ended (ramping): relate-2 waits"
    ((_, *arguments),) = [json.loads((platform.folder / "canary.arguments.json").read_text())]
    assert [argument.partition("=")[0] for argument in arguments] == ["--layer", "--policy", "--rules"]


async def test_a_failed_chain_resumes_at_the_step_that_failed(platform: JobPlatform) -> None:
    platform.tell("train-grpo", fail="CUDA is out of memory")
    chain = await platform.run(await platform.ask("retrain"))
    assert (chain.state, chain.error) == ("failed", "grpo: train grpo ended with status 1: CUDA is out of memory")
    assert (await platform.states(chain)) == {
        "export": "succeeded", "reward": "succeeded", "grpo": "failed", "evaluate": "waiting", "gate": "waiting",
        "canary": "waiting",
    }  # fmt: skip
    platform.tell("train-grpo")
    async with platform.database.begin() as connection:
        await requests.retry(connection, chain.id, actor="a test")
    assert (await platform.run(chain)).state == "succeeded"
    done = [command for command, *_ in runs(platform.folder)]
    assert (done.count("export"), done.count("train-reward")) == (1, 2)


async def test_only_the_first_step_that_did_not_succeed_is_retried(platform: JobPlatform) -> None:
    platform.tell("train-grpo", fail="no")
    chain = await platform.run(await platform.ask("retrain"))
    export, _, grpo, evaluate, *_ = await platform.steps(chain)
    for step in (export, evaluate):
        with pytest.raises(Problem, match="of a chain the first step that did not succeed"):
            async with platform.database.begin() as connection:
                await requests.retry(connection, step.id, actor="a test")
    async with platform.database.begin() as connection:
        assert (await requests.retry(connection, grpo.id, actor="a test")).state == "queued"


async def test_the_same_request_is_answered_with_the_job_that_is_there(platform: JobPlatform) -> None:
    export = await platform.ask("export")
    assert (await platform.ask_again("export")) == (export, False)
    snapshot = (await platform.run(export)).outputs[0]["path"]
    assert (await platform.ask_again("export"))[1]  # there may be more to export now

    reward = await platform.ask("reward", snapshot=snapshot, config="reward_cpu")
    done = await platform.run(reward)
    assert (await platform.ask_again("reward", snapshot=snapshot, config="reward_cpu")) == (done, False)
    assert (await platform.ask_again("reward", snapshot=snapshot, config="reward_cpu", set=["epochs=3"]))[1]


async def test_a_failed_job_may_be_asked_for_again_and_then_not_retried_beside_it(platform: JobPlatform) -> None:
    platform.tell("backup", fail="disk full")
    failed = await platform.run(await platform.ask("backup"))
    again = await platform.ask("backup")
    assert again.id != failed.id
    with pytest.raises(Problem, match=f"job {again.id} was asked for the same and is queued"):
        async with platform.database.begin() as connection:
            await requests.retry(connection, failed.id, actor="a test")


@pytest.mark.parametrize(
    ("kind", "parameters", "sentence"),
    [
        ("train", {}, "there is no job kind 'train': use one of export, reward"),
        ("reward", {}, "parameters.snapshot: Field required"),
        (
            "reward",
            {"snapshot": "jobs/gone/snapshot"},
            "there is no snapshot 'jobs/gone/snapshot' in the data directory",
        ),
        ("reward", {"snapshot": "../secrets"}, "snapshot '../secrets' leads out of the data directory"),
        ("reward", {"snapshot": "link"}, "snapshot 'link' leads out of the data directory"),
        ("grpo", {"config": "grpo_gpu"}, "there is no configuration 'grpo_gpu': put grpo_gpu.yaml into"),
        ("grpo", {"config": "../../etc/passwd"}, "parameters.config: String should match pattern"),
        ("grpo", {"set": ["steps=0"]}, "grpo: steps 0 must be at least 1"),
        ("grpo", {"set": ["步数=3"]}, "grpo: 步数: no such setting"),
        ("sft", {"policy": "artifacts/policies/没有"}, "there is no policy 'artifacts/policies/没有'"),
        ("retrain", {"reward": {"set": ["epochs=many"]}}, "reward: epochs: 'many' is not a whole number"),
        ("backup", {"file": "/etc/x"}, "parameters.file: Extra inputs are not permitted"),
    ],
)
async def test_a_bad_request_is_one_sentence_and_leaves_nothing(
    platform: JobPlatform, kind: str, parameters: dict[str, Any], sentence: str
) -> None:
    (platform.settings.data_dir / "link").symlink_to("/etc")
    with pytest.raises(Problem) as refused:
        await platform.ask(kind, **parameters)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)
    async with platform.database.begin() as connection:
        assert await store.listed(connection, limit=10) == []
    assert await platform.queued() == 0


async def test_an_artifact_that_changed_is_not_trained_on(platform: JobPlatform) -> None:
    snapshot = (await platform.run(await platform.ask("export"))).outputs[0]["path"]
    job = await platform.ask("reward", snapshot=snapshot)
    (platform.settings.data_dir / snapshot / "manifest.json").write_text('{"rows": 1}')
    job = await platform.run(job)
    assert job.state == "failed" and job.error.startswith(f"{snapshot} is not as it was recorded: SHA-256 ")
    assert [command for command, *_ in runs(platform.folder)] == ["export"]


async def test_cancelling_ends_the_job_with_everything_it_started(platform: JobPlatform) -> None:
    platform.tell("train-grpo", sleep=600, child=True)
    job = await platform.ask("grpo")
    running = asyncio.create_task(platform.run(job))
    await until_running(platform, "train-grpo")
    async with platform.database.begin() as connection:
        assert (await requests.cancel(connection, job.id, actor="a test")).state == "running"
    ended = await asyncio.wait_for(running, 60)
    assert ended.state == "cancelled"
    assert not lives(platform.folder / "train-grpo.pid") and not lives(platform.folder / "child.pid")
    with pytest.raises(Problem, match=r"has ended \(cancelled\): there is nothing to cancel"):
        async with platform.database.begin() as connection:
            await requests.cancel(connection, job.id, actor="a test")


async def test_cancelling_a_step_cancels_its_chain(platform: JobPlatform) -> None:
    platform.tell("export", sleep=600)
    chain = await platform.ask("retrain")
    running = asyncio.create_task(platform.run(chain))
    await until_running(platform, "export")
    export, *_ = await platform.steps(chain)
    async with platform.database.begin() as connection:
        await requests.cancel(connection, export.id, actor="a test")
    assert (await asyncio.wait_for(running, 60)).state == "cancelled"
    assert set((await platform.states(chain)).values()) == {"cancelled"}


async def test_a_queued_job_is_cancelled_at_once_and_leaves_the_queue(platform: JobPlatform) -> None:
    job = await platform.ask("backup")
    assert await platform.queued() == 1
    async with platform.database.begin() as connection:
        assert (await requests.cancel(connection, job.id, actor="a test")).state == "cancelled"
    assert await platform.queued() == 0
    assert (await platform.run(job)).attempt == 0  # what the queue still hands out is not run


async def test_a_stopping_worker_gives_its_job_back(platform: JobPlatform) -> None:
    platform.tell("train-grpo", sleep=2)
    job = await platform.ask("grpo")
    running = asyncio.create_task(platform.run(job))
    await until_running(platform, "train-grpo")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    given_back = await platform.find(job.id)
    assert (given_back.state, given_back.worker) == ("queued", None)
    assert not lives(platform.folder / "train-grpo.pid")
    assert ((await platform.run(job)).state, await platform.queued()) == ("succeeded", 1)


async def test_a_lost_job_is_queued_once_also_where_a_twin_waits(
    platform: JobPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "SILENT_S", 0.0)
    job = await platform.ask("backup")
    async with platform.database.begin() as connection:
        await connection.execute(store.text("UPDATE procrastinate_jobs SET status = 'doing'"))
        assert await store.claim(connection, job.id, "a worker that died") is not None
        twin = await job_queue.enqueue(connection, job.id, "operations")
        assert await job_queue.enqueue(connection, job.id, "operations") == twin
    await Sweeper(platform.database).look()
    found = await platform.find(job.id)
    assert (found.state, found.lost, found.queue_id, await platform.queued()) == ("queued", 1, twin, 1)


async def test_what_loses_every_worker_is_given_up(platform: JobPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "SILENT_S", 0.0)
    chain = await platform.ask("retrain")
    export, *_ = await platform.steps(chain)
    for _ in range(sweeper.MOST_LOST + 1):
        async with platform.database.begin() as connection:
            assert await store.claim(connection, export.id, "a worker that died") is not None
        await Sweeper(platform.database).look()
    found = await platform.find(chain.id)
    assert (found.state, found.error) == (
        "failed", "export: 6 workers died while they ran it: see its log, then retry it"
    )  # fmt: skip


async def test_an_attempt_that_lost_its_job_writes_nothing(platform: JobPlatform) -> None:
    platform.tell("backup", sleep=600)
    job = await platform.ask("backup")
    running = asyncio.create_task(platform.run(job))
    await until_running(platform, "backup")
    async with platform.database.begin() as connection:
        await store.change(connection, job.id, attempt=2, worker="another worker")
    found = await asyncio.wait_for(running, 60)
    assert (found.state, found.worker) == ("running", "another worker")
    assert not lives(platform.folder / "backup.pid")


NIGHT = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (NIGHT, NIGHT),
        (NIGHT + timedelta(seconds=59), NIGHT),
        (NIGHT - timedelta(seconds=1), NIGHT - timedelta(days=1)),
        (NIGHT + timedelta(hours=23), NIGHT),
    ],
)
def test_a_schedule_is_due_at_the_latest_time_of_its_line(now: datetime, due: datetime) -> None:
    assert latest("0 1 * * *", now) == due


async def test_missed_periods_start_one_job_and_a_new_schedule_none(platform: JobPlatform) -> None:
    schedules = Schedules(platform.settings.replaced(backup_cron="0 1 * * *"), platform.database)

    async def made() -> list[str]:
        async with platform.database.begin() as connection:
            return [job.kind for job in await store.listed(connection, limit=10)]

    await schedules.look(NIGHT + timedelta(hours=5))
    assert await made() == []
    await schedules.look(NIGHT + timedelta(days=4, hours=5))
    await Schedules(platform.settings.replaced(backup_cron="0 1 * * *"), platform.database).look(
        NIGHT + timedelta(days=4, hours=5)
    )
    assert await made() == ["backup"]
    await platform.run(await platform.find((await first(platform)).id))
    await schedules.look(NIGHT + timedelta(days=5))
    assert await made() == ["backup", "backup"]
    assert (await first(platform)).reason == "schedule"


async def test_enough_mature_conversions_start_a_chain_with_the_parameters_of_the_file(
    platform: JobPlatform, database: Any
) -> None:
    run(database, "标题-v3", [ArmOf("nlg"), ArmOf("relate", ctr=0.3, cvr=0.5)], days=20, units_a_day=60)
    await Aggregation(platform.settings, platform.database).catch_up()
    async with platform.database.begin() as connection:
        fresh = await fresh_conversions(connection, platform.settings)
        counted = await connection.scalar(store.text("SELECT count(*) FROM exposures WHERE converted"))
    assert 0 < fresh < counted  # the latest are not yet mature
    (platform.settings.data_dir / "retrain.yaml").write_text("policy: base\nlanguage: zh\n")
    for wanted, started in (
        (fresh + 1, []),
        (fresh, ["retrain"]),
        (1, ["retrain"]),
    ):  # what it learned from counts once
        await Schedules(platform.settings.replaced(retrain_conversions=wanted), platform.database).look()
        async with platform.database.begin() as connection:
            jobs = await store.listed(connection, limit=10)
        assert [job.kind for job in jobs] == started
    assert (jobs[0].reason, jobs[0].parameters["language"]) == ("conversions", "zh")


@pytest.mark.parametrize("content", ["- 1", "policy: [", "polcy: base", "policy: artifacts/policies/gone"])
async def test_a_wrong_file_starts_no_chain_and_is_logged(
    platform: JobPlatform, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (platform.settings.data_dir / "retrain.yaml").write_text(content)
    schedules = Schedules(platform.settings.replaced(retrain_cron="0 1 * * *"), platform.database)
    await schedules.look(NIGHT)
    await schedules.look(NIGHT + timedelta(days=1))
    assert "a scheduled job was not started" in caplog.text
    async with platform.database.begin() as connection:
        assert await store.listed(connection, limit=10) == []


async def first(platform: JobPlatform) -> Any:
    async with platform.database.begin() as connection:
        return (await store.listed(connection, limit=1))[0]
