"""The chain `retrain` with the real trainer, small: from a snapshot to the decision of the gate."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from job_platform import JobPlatform

from app.core.settings import Settings
from app.jobs.runner import Runner, program
from tests.trainer.logs import save_market
from tests.trainer.small import save_prompts, save_small_policy, small_prompts, teach
from trainer.gate_report import GateReport

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
_COPY = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2].removeprefix('--out='))"
_QUICK = ["members=1", "bottom=[16]", "tower=[]", "epochs=3", "learning_rate=0.01", "batch_cells=64", "encoder=hashed"]
_GRPO = """
steps: 2
batch_size: 10
max_completion: 40
checkpoint_every: 1
limits: {kl: null}
lora: {rank: 2, alpha: 4}
terms:
  length: {weight: 1.0}
  ctcvr: {weight: 1.0, kappa: 0.5}
  diversity: {weight: 0.5, level: token}
"""


@pytest.fixture
async def platform(settings: Settings, keys: object, tmp_path: Path) -> AsyncIterator[JobPlatform]:
    platform = JobPlatform(settings.replaced(data_dir=tmp_path / "data"), tmp_path)
    yield platform
    await platform.database.close()


async def test_a_snapshot_becomes_a_gated_policy(platform: JobPlatform, tmp_path: Path, record_property: Any) -> None:
    data, prompts = platform.settings.data_dir, small_prompts()
    for split, chosen in (("train", prompts[:4]), ("held_out", prompts[4:]), ("validation", prompts[4:])):
        save_prompts(data / "ads.jsonl", chosen, split=split)
    writer = save_small_policy(data / "models" / "writer", prompts)
    teach(writer, {prompt: prompt.references for prompt in prompts}, steps=100, learning_rate=2e-2)
    (data / "configs").mkdir()
    (data / "configs" / "tiny.yaml").write_text(_GRPO)
    market = save_market(tmp_path / "market")

    def command(arguments: Sequence[str]) -> list[str]:
        """All real but the export: this database holds no events."""
        if arguments[0] == "export":
            return [sys.executable, "-c", _COPY, str(market), arguments[1]]
        return program(arguments)

    chain = await platform.ask(
        "retrain",
        policy="models/writer",
        prompts="ads.jsonl",
        reward={"set": _QUICK},
        held_out={"set": [*_QUICK, "seed=1"]},
        grpo={"config": "tiny"},
        evaluate={"samples": 3, "max_completion": 40},
        gate={"set": ["samples=3", "max_completion=40", "lines.distinct.floor=null"]},
    )
    runner = Runner(platform.settings, platform.database, command)
    while (step := next((step for step in await platform.steps(chain) if step.state == "queued"), None)) is not None:
        await runner.run(step.id)
    export, reward, grpo, evaluate, gate = steps = (await platform.steps(chain))[:5]
    for step in steps:
        record_property(f"{step.kind} seconds", (step.ended_at - step.started_at).total_seconds())
    assert [step.error for step in (export, reward, grpo, evaluate)] == [None] * 4
    assert (grpo.done, grpo.total) == (2, 2)
    policy = grpo.outputs[0]["path"]
    assert (data / policy / "adapter_model.safetensors").exists() and not (data / policy / "checkpoints").exists()
    report = GateReport.read(data / "jobs" / str(gate.id) / "gate")
    assert (report.champion.name, report.challenger.name) == ("writer", Path(policy).name)
    ended = await platform.find(chain.id)
    assert (ended.state, gate.state) == ("rejected", "succeeded" if report.passed else "rejected")
    if report.passed:  # the writer is not the champion
        assert "passed the gate against writer, and the champion is" in ended.error
    else:
        assert ended.error.startswith(f"gate: Fail: {Path(policy).name} against writer: ")
