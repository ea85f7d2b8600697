"""Checkpoints appear whole or not at all, and a full disk costs one checkpoint, not the run."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from trainer.checkpoint import CheckpointError, forget, latest, read_checkpoint, write_checkpoint
from trainer.config import ConfigError


def write(checkpoints: Path, step: int) -> Path:
    def policy(folder: Path) -> None:
        folder.mkdir()
        (folder / "weights").write_text(str(step))

    return write_checkpoint(checkpoints, step, {"step": step, "weights": {"w": torch.full((2,), float(step))}}, policy)


def test_the_latest_whole_checkpoint_is_the_one_to_resume_from(tmp_path):
    assert latest(tmp_path) is None
    for step in (2, 10, 9):
        write(tmp_path, step)
    (tmp_path / "step-000011.partial").mkdir()  # a killed run's
    newest = latest(tmp_path)
    assert newest is not None and newest.name == "step-000010"
    state = read_checkpoint(newest)
    assert state["step"] == 10 and state["weights"]["w"].tolist() == [10.0, 10.0]


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


def test_old_checkpoints_go_and_a_kept_one_keeps_its_policy_only(tmp_path):
    for step in (5, 10, 15, 20):
        write(tmp_path, step)
    forget(tmp_path, {10})
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["step-000010", "step-000020"]
    assert (tmp_path / "step-000010" / "policy" / "weights").read_text() == "10"
    assert latest(tmp_path) == tmp_path / "step-000020"


def test_a_damaged_checkpoint_is_named_with_the_way_out(tmp_path):
    folder = write(tmp_path, 5)
    (folder / "state.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ConfigError, match=r"step-000005 holds no readable checkpoint .*remove it"):
        read_checkpoint(folder)
