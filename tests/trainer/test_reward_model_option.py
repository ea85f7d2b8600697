"""`--reward-model` takes a version or a folder, wherever it is an option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from trainer.cli import evaluate, train


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command hands on to its function."""
    given: dict[str, Any] = {}
    for module in (train, evaluate):
        monkeypatch.setattr(module, "call", lambda function, **arguments: given.update(arguments))
    return given


@pytest.mark.parametrize(
    ("group", "command"),
    [
        (train.commands, ("grpo", "--out", "o", "--policy", "p", "--reward-model")),
        (train.commands, ("grpo", "--out", "o", "--policy", "p", "--held-out-reward-model")),
        (train.commands, ("dpo", "--out", "o", "--policy", "p", "--reward-model")),
        (evaluate.commands, ("policy", "--out", "o", "--policy", "p=p", "--reward-model")),
        (evaluate.commands, ("reward", "--snapshot", ".", "--model")),
    ],
)
def test_a_version_is_found_in_the_data_directory(
    group: Any, command: tuple[str, ...], tmp_path: Path, called: dict[str, Any]
) -> None:
    kept = tmp_path / "artifacts" / "reward-models" / "reward-20261122-1f3a9c"
    kept.mkdir(parents=True)
    for spelt in (kept.name, str(kept)):
        called.clear()
        done = CliRunner().invoke(group, [*command, spelt, "--data-dir", str(tmp_path)])
        assert done.exit_code == 0, done.output
        assert kept in called.values()
    unknown = CliRunner().invoke(group, [*command, "reward-没有", "--data-dir", str(tmp_path)])
    assert unknown.exit_code == 2
    assert "no version of that name" in " ".join(unknown.output.replace("│", " ").split())
