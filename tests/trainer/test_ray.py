"""The same trainer on a Ray cluster started here: one actor a rank."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import ray

from tests.trainer.small import save_prompts, save_small_policy, small_prompts
from trainer.launch.local import RankError
from trainer.launch.ray import launch_on_ray


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A policy of two layers, and its prompts as an advertiser file."""
    folder: Path = tmp_path_factory.mktemp("ray")
    prompts = small_prompts()
    return {
        "policy": save_small_policy(folder / "base", prompts, width=16),
        "prompts": save_prompts(folder / "advertisers.jsonl", prompts),
        "folder": folder,
    }


def arguments(files: dict[str, Path], out: str, **changes: str) -> list[str]:
    """A command line of two steps on two ranks."""
    settings = {
        "launcher": "ray",
        "engine": "deepspeed",
        "ranks": "2",
        "steps": "2",
        "batch_size": "20",
        "max_completion": "8",
        "terms": "{length: {weight: 1.0}, diversity: {weight: 0.5, level: token}}",
        "checkpoint_every": "2",
        "limits": "{kl: null, shortest: 0, longest: null, distinct: 0, gap: null}",
    }
    given = [f"--set={name}={value}" for name, value in (settings | changes).items()]
    return [
        "train",
        "grpo",
        f"--policy={files['policy']}",
        f"--prompts={files['prompts']}",
        f"--out={files['folder'] / out}",
        *given,
    ]


@pytest.fixture(scope="module")
def cluster():
    ray.init(address="local", num_cpus=2, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.mark.slow
def test_a_ray_cluster_trains_and_a_rank_that_fails_ends_the_run_with_one_line(files, cluster):
    launch_on_ray(arguments(files, "run"), ranks=2)
    ended = json.loads((files["folder"] / "run" / "outcome.json").read_text())
    assert ended["steps"] == 2 and (files["folder"] / "run" / "policy" / "model.safetensors").exists()
    with pytest.raises(RankError, match=r"rank \d of 2 failed .*all were stopped") as raised:
        launch_on_ray(arguments(files, "refused", ranks="3", batch_size="15"), ranks=2)  # the config says three
    assert "\n" not in str(raised.value)
    with pytest.raises(RankError, match="3 ranks need a CPU each and the Ray cluster has 2"):
        launch_on_ray(arguments(files, "refused"), ranks=3)
