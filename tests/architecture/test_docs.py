"""What the documentation names exists: every file, and every command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from app.cli import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
FILE = re.compile(
    r"`((?:app|trainer|abtest|adtext|tests|benchmarks|docs|docker|deploy|examples|migrations)/[\w./-]*[\w/])(?:::\w+)?`"
)
COMMAND = re.compile(r"^(?:\.venv/bin/)?relate((?: [a-z][a-z-]*)+)", re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = set(FILE.findall(page.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_function_class_and_test_that_a_page_names_stands_in_its_file(page: Path) -> None:
    missing = [
        f"{file}::{name}"
        for file, name in re.findall(r"`([\w./-]+\.py)::(\w+)`", page.read_text(encoding="utf-8"))
        if not re.search(rf"^\s*(?:async )?(?:def|class) {name}\b", (ROOT / file).read_text(encoding="utf-8"), re.M)
    ]
    assert missing == []


def commands() -> list[tuple[str, ...]]:
    found = set()
    for page in PAGES:
        for block in re.findall(r"```[a-z]*\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            found |= {tuple(shlex.split(words)) for words in COMMAND.findall(block)}
    return sorted(found)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_in_the_documentation_exists(words: tuple[str, ...]) -> None:
    """The words before the first argument name a command of `relate`."""
    command = get_command(cli)
    for word in words:
        under = getattr(command, "commands", {})
        if not under:
            break  # the rest are arguments
        assert word in under, f"relate {' '.join(words)}: there is no command {word!r}"
        command = under[word]
    assert CliRunner().invoke(cli, ["--help"]).exit_code == 0
