"""One command line: every command of the trainer is reached through `relate`, explained, and run in a child process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from app.cli import cli, trainer
from trainer.cli import root, run

RUNNER = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})  # Typer reads TERMINAL_WIDTH once, at import


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(words, command) of every command below a group."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


TREE = dict(commands(typer.main.get_command(root)))


def test_relate_has_every_command_of_the_trainer():
    assert TREE.keys() <= dict(commands(typer.main.get_command(cli))).keys()
    assert {name.split()[0] for name in TREE} == {"train", "evaluate", "ablate"}


@pytest.mark.parametrize("name", sorted(TREE))
def test_every_command_and_every_option_is_explained(name):
    command = TREE[name]
    assert f"Example: relate {name} --" in command.help
    assert [option.name for option in command.params if not (option.help or "").strip()] == []


@pytest.mark.parametrize("group", ["train", "evaluate"])
def test_help_names_the_extra_that_must_be_installed(group):
    assert "Needs the [train] extra: pip install '.[train]'." in RUNNER.invoke(cli, [group, "--help"]).output


def test_a_command_runs_in_a_child_with_the_arguments_as_they_were_typed(monkeypatch):
    started = []

    class Child:
        def __init__(self, command):
            started.append(command)

        def wait(self):
            return 3

    monkeypatch.setattr(trainer.subprocess, "Popen", Child)
    arguments = ["train", "grpo", "--out", "runs/a b", "--set", "steps=2", "--set=lora=null"]
    assert RUNNER.invoke(cli, arguments).exit_code == 3
    assert started == [[sys.executable, "-m", "trainer", *arguments]]
    assert RUNNER.invoke(cli, ["ablate", "--policy", "p", "--reward-model", ".", "--out", "o"]).exit_code == 3
    assert started[1][3:] == ["ablate", "--policy", "p", "--reward-model", ".", "--out", "o"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "gpro"], "No such command 'gpro'"),
        (["train", "grpo", "--out", "x", "--polcy", "y"], "No such option"),
        (["train", "dpo", "--out", "x"], "Missing option '--policy'"),
        (["evaluate", "policy", "--policy", "nlg", "--out", "x", "--split", "test"], "new_industry"),
    ],
)
def test_a_misspelt_command_line_is_refused_without_a_child(monkeypatch, arguments, said):
    monkeypatch.setattr(trainer, "run_trainer", lambda arguments: pytest.fail("started a child"))
    refused = RUNNER.invoke(cli, arguments)
    assert refused.exit_code == 2 and said in refused.output


def test_relate_prints_its_version():
    said = RUNNER.invoke(cli, ["--version"])
    assert said.exit_code == 0 and said.output.startswith("relate 0.")


def test_a_command_that_is_called_by_name_raises_its_errors(tmp_path):
    """As a rank on a cluster calls it."""
    with pytest.raises(ValueError, match="steps 0 must be at least 1"):
        run(["train", "grpo", f"--out={tmp_path}", "--set", "steps=0"])
