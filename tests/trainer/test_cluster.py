"""A training command on a Ray cluster, apart from its caller: sent, followed, left alone, taken up again, cancelled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.trainer.small import save_prompts, save_small_policy, small_prompts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder: Path = tmp_path_factory.mktemp("cluster")
    prompts = small_prompts()
    return {
        "policy": save_small_policy(folder / "base", prompts, width=16),
        "prompts": save_prompts(folder / "advertisers.jsonl", prompts),
        "storage": folder / "storage",
    }


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of its own processes, as one that is not this machine's."""
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--port=0", "--num-cpus=2", "--block"]
    given = ["--include-dashboard=false", "--disable-usage-stats", "--node-ip-address=127.0.0.1"]
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_AUTH_MODE", "token")
    patch.setenv("RAY_AUTH_TOKEN", "known to the cluster and its callers, and to nobody else")
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONUNBUFFERED": "1"}
    cluster = subprocess.Popen([*command, *given], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert cluster.stdout is not None
        said = next(line for line in cluster.stdout if "address=" in line or "--address" in line)
        yield said.split("address=")[1].split("'")[1]
    finally:
        cluster.send_signal(signal.SIGTERM)
        cluster.wait(60)
        patch.undo()


def command(files: dict[str, Path], out: Path, *, steps: int) -> list[str]:
    settings = {
        "steps": str(steps),
        "batch_size": "10",
        "max_completion": "8",
        "checkpoint_every": "1",
        "terms": "{length: {weight: 1.0}}",
        "limits": "{kl: null, shortest: 0, longest: null, distinct: 0, gap: null}",
    }
    given = [f"--policy={files['policy']}", f"--prompts={files['prompts']}", f"--out={out}", f"--cache={out}/cache"]
    return ["train", "grpo", *given, *(f"--set={name}={value}" for name, value in settings.items())]


def caller(address: str, name: str, files: dict[str, Path], out: Path, *, steps: int) -> subprocess.Popen[str]:
    """The command in a process of its own, as a worker runs it."""
    start = [sys.executable, "-m", "trainer.launch.cluster", f"--address={address}", f"--name={name}"]
    given = [*start, f"--storage={files['storage']}", "--", *command(files, out, steps=steps)]
    return subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def training(files: dict[str, Path]) -> list[psutil.Process]:
    """Processes that train on the cluster."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if {"-m", "trainer", "grpo"} <= set(process.info["cmdline"] or ()) and "relate-job-" in str(process.info)
    ]


def wait_for(holds: object, seconds: float = 400) -> None:
    until = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.2)


def test_what_was_trained_comes_back_with_its_log_and_curves(files, address, tmp_path):
    said, _ = (asked := caller(address, "one", files, tmp_path / "run", steps=2)).communicate(timeout=400)
    assert asked.returncode == 0 and said
    assert json.loads((tmp_path / "run" / "outcome.json").read_text())["steps"] == 2
    assert (tmp_path / "run" / "policy" / "model.safetensors").exists()
    assert len((tmp_path / "run" / "curves.jsonl").read_text().splitlines()) == 2


@pytest.mark.soak
def test_a_caller_that_is_killed_leaves_the_training_alone_and_the_next_one_takes_it_up(files, address, tmp_path):
    first = caller(address, "two", files, tmp_path / "run", steps=6)
    wait_for(lambda: training(files))
    first.kill()
    first.wait()
    assert len(training(files)) == 1
    trained = training(files)[0].pid
    second = caller(address, "two", files, tmp_path / "run", steps=6)
    time.sleep(3)
    assert [process.pid for process in training(files)] in ([trained], [])  # no second one was started
    said, error = second.communicate(timeout=400)
    assert second.returncode == 0, said + error
    assert json.loads((tmp_path / "run" / "outcome.json").read_text())["steps"] == 6


@pytest.mark.soak
def test_a_cancelled_command_ends_on_the_cluster_and_keeps_its_checkpoints(files, address, tmp_path):
    asked = caller(address, "three", files, tmp_path / "run", steps=500)
    wait_for(
        lambda: (tmp_path / "run" / "curves.jsonl").exists() and (tmp_path / "run" / "curves.jsonl").stat().st_size
    )
    asked.terminate()
    assert asked.wait(30) == 143
    assert training(files) == []
    assert list((files["storage"] / "jobs" / "three" / "out").rglob("whole.json"))


def test_a_command_that_fails_ends_with_one_line(files, address, tmp_path):
    said, error = (asked := caller(address, "four", files, tmp_path / "run", steps=0)).communicate(timeout=400)
    assert asked.returncode == 1 and "steps" in said  # the command's own words
    assert error.splitlines()[-1] == "relate: the command ended with status 1 on the cluster: its log is above"


def test_a_cluster_that_does_not_answer_is_named(files, tmp_path):
    _, error = (asked := caller("127.0.0.1:1", "five", files, tmp_path / "run", steps=1)).communicate(timeout=400)
    assert asked.returncode == 1
    assert "relate: the Ray cluster at 127.0.0.1:1 does not answer" in error.splitlines()[-1]
