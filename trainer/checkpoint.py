"""Checkpoints of a run, each a folder that appears whole or not at all: checkpoints/step-000010/{policy/, state.pt}.

The two newest can be resumed from, so that one which a disk has damaged since costs a few steps and not the run.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from trainer.config import ConfigError
from trainer.distributed import Ranks
from trainer.durable import WHOLE, damage, publish, seal

log = logging.getLogger(__name__)

STATE = "state.pt"
ENGINE = "engine"  # what DeepSpeed wrote, every rank its own part
RESUMABLE = 2  # checkpoints that keep their state


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
            ranks.wait()
        if main:
            policy(partial / "policy")
            torch.save(state, partial / STATE)
            seal(partial)
            publish(partial, folder)
    except (OSError, RuntimeError) as error:  # torch and safetensors report a full disk as RuntimeError
        shutil.rmtree(partial, ignore_errors=True)
        before = max(_written(checkpoints), default=None)
        raise CheckpointError(
            f"the checkpoint of step {step} could not be written to {checkpoints} ({error}): make room, then start "
            f"again; the run resumes from {before or 'its start'}"
        ) from error
    return folder


def newest(checkpoints: Path) -> Path | None:
    """The newest whole checkpoint, with one log line for each newer one that is damaged; None before the first.

    ConfigError where there are checkpoints and none of them is whole.
    """
    return newest_whole(sorted(_written(checkpoints), reverse=True))


def newest_whole(folders: list[Path]) -> Path | None:
    """The first folder without damage, the newest coming first."""
    for folder in folders:
        if (why := damage(folder)) is None:
            return folder
        log.warning("%s cannot be resumed from, %s: the run resumes from the checkpoint before it", folder, why)
    if folders:
        raise ConfigError(
            f"{folders[0].parent} holds {len(folders)} checkpoints and none of them is whole: remove the folder to "
            "start from the beginning"
        )
    return None


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """What `write_checkpoint` was given as state."""
    try:
        state: dict[str, Any] = torch.load(folder / STATE, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        what = type(error).__name__  # torch's own message is a page long
        raise ConfigError(
            f"{folder} holds no readable checkpoint ({what}): remove it, the run then resumes from the one before"
        ) from error
    return state


def checkpoint_folder(checkpoints: Path, step: int) -> Path:
    return checkpoints / f"step-{step:06d}"


def forget(checkpoints: Path, kept: set[int]) -> None:
    """Keep the newest checkpoints whole, of the `kept` steps' only the policy, and nothing of the others."""
    resumable = sorted(_written(checkpoints))[-RESUMABLE:]
    for folder in checkpoints.glob("step-*"):
        if folder.suffix == ".partial" or folder in resumable:
            continue
        if int(folder.name.removeprefix("step-")) not in kept:
            shutil.rmtree(folder)
        else:
            for name in (STATE, WHOLE):
                (folder / name).unlink(missing_ok=True)
            shutil.rmtree(folder / ENGINE, ignore_errors=True)


def forget_after(checkpoints: Path, folder: Path) -> None:
    """Remove what is newer than a checkpoint that a run resumes from: damaged, or of steps that are taken again."""
    for newer in checkpoints.glob("step-*"):
        if newer.name > folder.name and newer.suffix != ".partial":
            shutil.rmtree(newer)


def _written(checkpoints: Path) -> list[Path]:
    """Every folder that a run could be resumed from, were it whole: those with a policy alone are left out."""
    folders = checkpoints.glob("step-*")
    return [
        folder
        for folder in folders
        if folder.suffix != ".partial" and any((folder / name).exists() for name in (WHOLE, STATE))
    ]
