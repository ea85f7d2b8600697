"""Training jobs that run on a Ray cluster: the same commands, under the job's name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.core.settings import Settings
from app.jobs.runner import on_cluster, program


def test_training_on_a_cluster_is_the_same_command_under_the_jobs_name() -> None:
    settings = Settings(ray_address="ray://head:10001", ray_storage="s3://bucket/relate", ray_gpus=8)
    module, *rest = on_cluster(settings, "j-policy", program(["train", "grpo", "--out=run"]))[2:]
    assert module == "trainer.launch.cluster"
    assert rest == [
        "--address=ray://head:10001", "--name=j-policy", "--storage=s3://bucket/relate", "--gpus=8",
        "--", "train", "grpo", "--out=run",
    ]  # fmt: skip


def test_a_cluster_without_storage_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="set RELATE_RAY_STORAGE"):
        Settings(ray_address="ray://head:10001")
