"""A backup holds secrets: nobody else on the machine may read them, while it is made, kept or unpacked."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.core.settings import Settings
from app.up import postgres
from app.up.backup import DUMP, backup, restore

PASSWORD = "geheim 秘密 ' \\ %"


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """Every program that is run, as the process list and its own user see it."""
    seen = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        seen.append((command, options["env"]))
        return original(command, **options)

    original = subprocess.run
    monkeypatch.setattr(postgres.subprocess, "run", run)
    return seen


def with_password(settings: Settings) -> Settings:
    separator = "&" if "?" in settings.database_url else "?"
    url = f"{settings.database_url}{separator}password={quote(PASSWORD)}"
    return settings.replaced(database_url=url.replace("postgresql://", "postgresql+psycopg://", 1))


def test_the_database_password_is_in_no_process_list(settings: Settings, tmp_path: Path, commands: Any) -> None:
    backup(with_password(settings), tmp_path / "backup.tar")
    elsewhere = settings.replaced(data_dir=tmp_path / "elsewhere", database_url=with_password(settings).database_url)
    restore(elsewhere, tmp_path / "backup.tar")
    assert [Path(command[0]).name for command, _ in commands] == ["pg_dump", "pg_restore"]
    for command, environment in commands:
        assert "geheim" not in " ".join(command)
        assert environment["PGPASSWORD"] == PASSWORD


def test_what_is_unpacked_from_a_backup_is_its_owners_alone(settings: Settings, tmp_path: Path) -> None:
    trained = settings.data_dir / "artifacts" / "报酬模型.bin"
    trained.parent.mkdir()
    trained.write_bytes(b"weights")
    trained.chmod(0o644)
    tar = tmp_path / "backup.tar"
    backup(settings, tar)
    assert tar.stat().st_mode & 0o777 == 0o600
    with tarfile.open(tar) as opened:
        modes = {member.name: oct(member.mode) for member in opened}
    assert {name: mode for name, mode in modes.items() if not mode.endswith("00")} == {}
    assert {DUMP, "secrets.json", "artifacts/报酬模型.bin"} <= set(modes)


def test_an_old_backup_is_replaced_only_when_the_new_one_is_whole(settings: Settings, tmp_path: Path) -> None:
    tar = tmp_path / "backup.tar"
    tar.write_bytes(b"the one of yesterday")
    with pytest.raises(postgres.UpError, match="pg_dump failed"):
        backup(settings.replaced(database_url="postgresql://nobody@127.0.0.1:1/nothing"), tar)
    assert tar.read_bytes() == b"the one of yesterday"
