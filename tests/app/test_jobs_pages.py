"""The pages of jobs as an operator sees them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from job_platform import JobPlatform
from prometheus_client import REGISTRY

from app.core.settings import Settings
from app.services.jobs.watch import JobWatch

HOME = "/pages/jobs"
TOKENS = [("现烘", 0.0), ("咖啡", 0.0), ("全网最低", -2.0), ("价", -0.5), ("<b>", 0.0)]


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    changes = {"secrets_file": settings.secrets_path, "data_dir": tmp_path / "data", "retrain_cron": "0 1 * * *"}
    return settings.replaced(**changes)


@pytest.fixture
def platform(settings: Settings, tmp_path: Path) -> JobPlatform:
    (tmp_path / "commands").mkdir()
    return JobPlatform(settings, tmp_path / "commands")


@pytest.fixture
async def operator(app: FastAPI, keys: dict[str, dict[str, str]]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://relate.test") as http:
        key = keys["ops"]["Authorization"].removeprefix("Bearer ")
        await http.post("/signin", data={"key": key, "csrf": csrf_of(await http.get("/signin"))})
        yield http


def csrf_of(answer: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', answer.text)
    assert found
    return found[1]


def words(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return " ".join(re.sub(r"<script.*?</script>|<[^>]+>", " ", answer.text, flags=re.S).split())


async def test_a_chain_is_started_cancelled_and_retried_by_forms(
    operator: httpx.AsyncClient, platform: JobPlatform
) -> None:
    listing = await operator.get(HOME)
    assert "0 1 * * *" in words(listing) and "never" not in words(listing).partition("Latest")[0].partition("backup")[0]
    csrf = csrf_of(listing)
    form = {"kind": "retrain", "parameters": "language: zh\ngrpo: {config: grpo_cpu, set: [steps=3]}", "csrf": csrf}
    started = await operator.post(HOME, data=form)
    assert started.status_code == 303
    chain = started.headers["location"]
    assert "export queued reward waiting grpo waiting evaluate waiting gate waiting canary waiting" in words(
        await operator.get(chain)
    )
    assert (await operator.post(f"{chain}/cancel", data={"csrf": csrf})).status_code == 303
    assert "export cancelled" in words(await operator.get(HOME))
    assert (await operator.post(f"{chain}/retry", data={"csrf": csrf})).status_code == 303
    assert "export queued" in words(await operator.get(chain))
    assert (await operator.post(f"{chain}/cancel")).status_code == 403


@pytest.mark.parametrize(
    ("kind", "parameters", "sentence"),
    [
        ("<b>", "", "there is no job kind &#39;&lt;b&gt;&#39;"),
        ("grpo", "set: [", "parameters: this is no YAML"),
        ("grpo", "- 1", "parameters: write one per line, as name: value"),
        ("grpo", "set: [steps=0]", "grpo: steps 0 must be at least 1"),
    ],
)
async def test_a_refused_form_says_why_and_keeps_what_was_written(
    operator: httpx.AsyncClient, kind: str, parameters: str, sentence: str
) -> None:
    csrf = csrf_of(await operator.get(HOME))
    answer = await operator.post(HOME, data={"kind": kind, "parameters": parameters, "csrf": csrf})
    assert answer.status_code == 422 and sentence in answer.text
    assert f'spellcheck="false">{parameters}</textarea>' in answer.text


async def test_a_training_shows_curves_and_charged_tokens_while_it_runs(
    operator: httpx.AsyncClient, platform: JobPlatform
) -> None:
    job = await platform.ask("grpo")
    empty = words(await operator.get(f"{HOME}/{job.id}"))
    assert "queued" in empty and "Sampled texts" not in empty
    run = platform.settings.data_dir / "jobs" / str(job.id) / "run"
    run.mkdir(parents=True)
    curve = {"rewards": {"ctcvr": 0.5, "diversity": 0.9, "length": 1.0, "format": 0.5}, "kl": 0.01, "gap": None}
    lines = [json.dumps(curve | {"step": step}) for step in range(2)]
    (run / "curves.jsonl").write_text("".join(f"{line}\n" for line in lines) + '{"step": 2, "rew')
    sample: dict[str, Any] = {
        "step": 1, "query": "咖啡豆", "advertiser": "山间咖啡", "tokens": [token for token, _ in TOKENS],
        "charges": [charge for _, charge in TOKENS], "advantage": -0.4, "findings": ["absolute_claim"],
    }  # fmt: skip
    (run / "samples.jsonl").write_text(json.dumps(sample, ensure_ascii=False) + "\n")
    shown = await operator.get(f"{HOME}/{job.id}")
    page = words(shown)
    assert "structural quality" in page and "KL to the start" in page and "semantic quality" not in page
    assert "training minus held-out reward model" not in page
    assert "Sampled texts step 2" in page and "absolute_claim" in page
    assert (
        '<span class="charged more" title="-2.00">全网最低</span><span class="charged" title="-0.50">价</span>'
        in shown.text
    )
    assert "&lt;b&gt;" in shown.text and shown.text.count('class="figure"') == 4


async def test_a_failed_step_shows_its_error_its_log_and_the_way_on(
    operator: httpx.AsyncClient, platform: JobPlatform
) -> None:
    platform.tell("train-grpo", fail="<script>alert(1)</script> disk full")
    chain = await platform.run(await platform.ask("retrain"))
    step = (await platform.steps(chain))[2]
    shown = await operator.get(f"{HOME}/{step.id}")
    assert "<script>alert(1)" not in shown.text
    page = words(shown)
    assert "Retry from this step" in page and "disk full" in page and "train-grpo begins" in page
    assert "Retry" not in words(await operator.get(f"{HOME}/{(await platform.steps(chain))[0].id}"))


async def test_metrics_count_jobs_and_say_when_each_kind_last_succeeded(platform: JobPlatform, keys: object) -> None:
    done = await platform.run(await platform.ask("backup"))
    await platform.ask("export")
    await JobWatch(platform.database).look()

    def metric(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(name, labels)

    assert metric("relate_jobs", kind="backup", state="succeeded") == 1
    assert (metric("relate_jobs_queued"), metric("relate_jobs", kind="export", state="queued")) == (1, 1)
    assert metric("relate_jobs_last_success_timestamp_seconds", kind="backup") == done.ended_at.timestamp()
