"""Checkpoints of a run, each a folder that appears whole or not at all: checkpoints/step-000010/{policy/, state.pt}."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from trainer.config import ConfigError
from trainer.distributed import Ranks

_STATE = "state.pt"
ENGINE = "engine"  # what DeepSpeed wrote, every rank its own part


class CheckpointError(OSError):
    """A checkpoint that could not be written or read; those before it are whole."""


def write_checkpoint(
    checkpoints: Path, step: int, state: dict[str, Any], policy: Callable[[Path], None], ranks: Ranks | None = None
) -> Path:  # fmt: skip
    """Write the checkpoint after `step` steps: policy(folder) writes what can be served, `state` is what a resumed run
    needs.

    All ranks call it: each writes what its engine holds of weights and optimiser, the main one the rest.
    CheckpointError, for instance on a full disk; nothing of it is left behind then.
    """
    main = ranks is None or ranks.main
    folder = checkpoint_folder(checkpoints, step)
    partial = folder.with_name(folder.name + ".partial")
    try:
        if main:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        if ranks is not None and ranks.accelerator is not None:
            ranks.wait()
            ranks.save_engine(partial / ENGINE)
        if main:
            policy(partial / "policy")
            torch.save(state, partial / _STATE)
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
    except (OSError, RuntimeError) as error:  # torch and safetensors report a full disk as RuntimeError
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            f"the checkpoint of step {step} could not be written to {checkpoints} ({error}): make room, then start "
            "again; "
            f"the run goes on from {latest(checkpoints) or 'its start'}"
        ) from error
    return folder


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """What `write_checkpoint` was given as state."""
    try:
        state: dict[str, Any] = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        what = type(error).__name__  # torch's own message is a page long
        raise ConfigError(
            f"{folder} holds no readable checkpoint ({what}): remove it, the run then goes on from the one before"
        ) from error
    return state


def checkpoint_folder(checkpoints: Path, step: int) -> Path:
    return checkpoints / f"step-{step:06d}"


def latest(checkpoints: Path) -> Path | None:
    """The newest whole checkpoint that can be resumed from."""
    whole = [
        folder for folder in checkpoints.glob("step-*") if (folder / _STATE).exists() and folder.suffix != ".partial"
    ]
    return max(whole, default=None)


def forget(checkpoints: Path, kept: set[int]) -> None:
    """Remove the checkpoints of all other steps; of those that are not the latest, keep only the policy."""
    newest = latest(checkpoints)
    for folder in checkpoints.glob("step-*"):
        if folder.suffix == ".partial" or folder == newest:
            continue
        if int(folder.name.removeprefix("step-")) not in kept:
            shutil.rmtree(folder)
        else:
            (folder / _STATE).unlink(missing_ok=True)
            shutil.rmtree(folder / ENGINE, ignore_errors=True)
