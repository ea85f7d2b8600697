"""Checkpoints appear whole or not at all, and a full disk costs one checkpoint, not the run."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from trainer.checkpoint import CheckpointError, forget, newest, read_checkpoint, write_checkpoint
from trainer.config import ConfigError


def write(checkpoints: Path, step: int) -> Path:
    def policy(folder: Path) -> None:
        folder.mkdir()
        (folder / "weights").write_text(str(step))

    return write_checkpoint(checkpoints, step, {"step": step, "weights": {"w": torch.full((2,), float(step))}}, policy)


def test_the_newest_whole_checkpoint_is_the_one_to_resume_from(tmp_path):
    assert newest(tmp_path) is None
    for step in (2, 10, 9):
        write(tmp_path, step)
    (tmp_path / "step-000011.partial").mkdir()  # a killed run's
    folder = newest(tmp_path)
    assert folder is not None and folder.name == "step-000010"
    state = read_checkpoint(folder)
    assert state["step"] == 10 and state["weights"]["w"].tolist() == [10.0, 10.0]


def cut_in_two(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["state.pt", "policy/weights", "whole.json"])
@pytest.mark.parametrize("damage", [cut_in_two, flipped, Path.unlink], ids=["half-written", "one bit", "missing"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_says_so(tmp_path, caplog, name, damage):
    for step in (5, 10):
        write(tmp_path, step)
    damage(tmp_path / "step-000010" / name)
    folder = newest(tmp_path)
    assert folder is not None and read_checkpoint(folder)["step"] == 5
    assert "step-000010 cannot be resumed from" in caplog.text and "the checkpoint before it" in caplog.text


def test_a_run_without_any_whole_checkpoint_does_not_silently_begin_again(tmp_path):
    for step in (5, 10):
        cut_in_two(write(tmp_path, step) / "state.pt")
    with pytest.raises(ConfigError, match="2 checkpoints and none of them is whole: remove the folder"):
        newest(tmp_path)


@pytest.mark.parametrize(
    "full",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file: No space left"),
    ],
    ids=["python", "torch"],
)
def test_a_full_disk_leaves_the_checkpoints_before_it_whole(tmp_path, full):
    write(tmp_path, 5)

    def policy(folder: Path) -> None:
        folder.mkdir()
        (folder / "weights").write_text("half")
        raise full

    with pytest.raises(
        CheckpointError, match=r"checkpoint of step 10 .*No space left.* make room, then start again.*step-000005"
    ) as raised:
        write_checkpoint(tmp_path, 10, {"step": 10}, policy)
    assert "\n" not in str(raised.value)
    assert [folder.name for folder in tmp_path.iterdir()] == ["step-000005"]


def test_the_two_newest_can_be_resumed_and_an_older_kept_one_keeps_its_policy_only(tmp_path):
    for step in (5, 10, 15, 20):
        write(tmp_path, step)
    forget(tmp_path, {10})
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["step-000010", "step-000015", "step-000020"]
    assert [path.name for path in (tmp_path / "step-000010").iterdir()] == ["policy"]
    assert newest(tmp_path) == tmp_path / "step-000020"
    cut_in_two(tmp_path / "step-000020" / "state.pt")
    assert newest(tmp_path) == tmp_path / "step-000015"


def test_a_checkpoint_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced: list[str] = []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(
        os, "fsync", lambda handle: (synced.append(os.readlink(f"/proc/self/fd/{handle}")), fsync(handle))
    )
    before: list[set[str]] = []
    monkeypatch.setattr(Path, "rename", lambda path, to: (before.append(set(synced)), rename(path, to))[1])
    write(tmp_path, 5)
    names = {Path(name).name for name in before[-1]}
    assert {"state.pt", "weights", "policy", "step-000005.partial"} <= names
    assert synced[-1] == str(tmp_path)  # and then the name


def test_a_damaged_checkpoint_is_named_with_the_way_out(tmp_path):
    folder = write(tmp_path, 5)
    (folder / "state.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ConfigError, match=r"step-000005 holds no readable checkpoint .*remove it"):
        read_checkpoint(folder)
