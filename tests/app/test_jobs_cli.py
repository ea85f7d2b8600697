"""`relate jobs` on a platform that `relate up` would start: real commands, a real worker."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli import cli
from app.core.settings import Settings
from app.up.stack import Stack

Relate = Callable[..., Result]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with TemporaryDirectory(prefix="relate-tests-") as folder:
        settings = Settings(data_dir=Path(folder), port=0, backup_cron="", retention_cron="")
        with Stack(settings, model=False, worker=True) as running:
            yield running


@pytest.fixture(scope="module")
def relate(stack: Stack) -> Relate:
    here = {"RELATE_URL": stack.url, "RELATE_DATA_DIR": str(stack.settings.data_dir), "COLUMNS": "200"}
    return lambda *arguments: CliRunner().invoke(cli, ["jobs", *arguments], env=here)


def test_a_backup_is_written_by_a_job_and_read_about(relate: Relate, stack: Stack) -> None:
    done = relate("run", "backup", "--wait")
    job, state = done.stdout.split()
    assert (state, done.exit_code) == ("succeeded", 0)
    shown = json.loads(relate("show", job).stdout)
    (backup,) = shown["outputs"]
    assert backup["path"].startswith("backups/relate-")
    with tarfile.open(stack.settings.data_dir / backup["path"]) as tar:
        assert "database.dump" in tar.getnames()
    assert "bytes" in relate("logs", job).stdout
    listed = relate("list", "--kind", "backup", "--state", "succeeded").stdout
    assert job in listed and "manual" in listed


def test_a_retraining_without_events_fails_in_one_line_and_can_be_retried(relate: Relate, tmp_path: Path) -> None:
    file = tmp_path / "retrain.yaml"
    file.write_text("policy: base\nlanguage: zh\n")
    done = relate(
        "run", "retrain", "--file", str(file), "--set", 'grpo={"config": "grpo_cpu", "set": ["steps=3"]}', "--wait"
    )
    assert done.exit_code == 1
    job, _, line = done.stdout.partition("\n")
    assert line.startswith("failed: export succeeded, reward failed, grpo waiting") and line.count("\n") == 1
    assert json.loads(relate("show", job).stdout)["parameters"]["grpo"]["set"] == ["steps=3"]
    assert "export succeeded, reward " in relate("retry", job).stdout
    assert "cancel" in relate("cancel", job).stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "训练"), "there is no job kind '训练': use one of export"),
        (("run", "grpo", "--set", "steps"), "--set 'steps' is not NAME=VALUE, such as policy=base"),
        (("run", "reward", "--set", "snapshot=jobs/x/snapshot"), "there is no snapshot 'jobs/x/snapshot'"),
        (("run", "grpo", "--set", 'set=["steps=0"]'), "grpo: steps 0 must be at least 1"),
        (("show", "00000000-0000-0000-0000-000000000000"), "there is no job 00000000"),
        (("cancel", "x"), "answered 422: job_id"),
    ],
)
def test_a_refusal_is_one_line(relate: Relate, arguments: tuple[str, ...], sentence: str) -> None:
    done = relate(*arguments)
    assert done.exit_code == 1 and sentence in str(done.exception)


def test_a_worker_that_ends_is_started_again(stack: Stack, relate: Relate) -> None:
    assert stack.worker is not None
    lines: list[str] = []
    stack.worker.kill()
    deadline = monotonic() + 120
    while len(lines) < 2 and monotonic() < deadline:
        stack.look_after(lines.append)
    assert "the worker was killed by SIGKILL" in lines[0] and "jobs wait until then" in lines[0]
    assert lines[1] == "the worker was restarted"
    assert relate("run", "retention", "--wait").exit_code == 0


def test_a_look_at_canaries_is_a_job_and_their_commands_answer_in_one_line(relate: Relate, stack: Stack) -> None:
    job = relate("run", "canary", "--wait").stdout.split()[0]
    assert relate("logs", job).stdout == "no canary is open\n"
    here = {"RELATE_URL": stack.url, "RELATE_DATA_DIR": str(stack.settings.data_dir), "COLUMNS": "200"}

    def policies(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["policies", *arguments], env=here)

    listed = policies("list").stdout
    champion = next(line.split()[0] for line in listed.splitlines() if " champion " in line)
    assert "gate" in listed and "canary" in listed
    assert "has had no canary" in str(policies("canary", champion).exception)
    assert "has no canary that runs" in str(policies("canary", champion, "--roll-back").exception)
    assert "exclude each other" in str(policies("canary", champion, "--roll-back", "--resume").exception)
    assert "has no server: set RELATE_POLICY_URL" in str(policies("serve", champion).exception)
