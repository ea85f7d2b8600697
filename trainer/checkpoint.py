"""Checkpoints of a run, each a folder that appears whole or not at all: checkpoints/step-000010/{policy/, state.pt}.

A run can resume from either of the two newest. If one is damaged on disk, only a few steps are lost.
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
ENGINE = "engine"  # the folder in which DeepSpeed writes one part per rank
RESUMABLE = 2  # checkpoints that keep their state


class CheckpointError(OSError):
    """A checkpoint that could not be written or read; earlier checkpoints are intact."""


def write_checkpoint(
    checkpoints: Path, step: int, state: dict[str, Any], policy: Callable[[Path], None], ranks: Ranks | None = None
) -> Path:  # fmt: skip
    """Write the checkpoint after `step` steps. policy(folder) writes the servable policy; `state` holds what a resumed
    run needs.

    All ranks call it: each writes its part of weights and optimiser, and rank 0 writes the rest. CheckpointError,
    for instance on a full disk; the partial checkpoint is removed then.
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
    """The newest intact checkpoint; None before the first. Logs one line for each newer one that is damaged.

    ConfigError where there are checkpoints and none of them is intact.
    """
    return newest_whole(sorted(_written(checkpoints), reverse=True))


def newest_whole(folders: list[Path]) -> Path | None:
    """The newest folder without damage."""
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
    """The state that `write_checkpoint` was given."""
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
    """Keep the newest checkpoints whole. Keep only the policy of the steps in `kept`, and remove all others."""
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
    """Remove checkpoints newer than the one that a run resumes from: they are damaged, or their steps are repeated."""
    for newer in checkpoints.glob("step-*"):
        if newer.name > folder.name and newer.suffix != ".partial":
            shutil.rmtree(newer)


def _written(checkpoints: Path) -> list[Path]:
    """Every checkpoint folder with a state, intact or not; folders with a policy alone are left out."""
    folders = checkpoints.glob("step-*")
    return [
        folder
        for folder in folders
        if folder.suffix != ".partial" and any((folder / name).exists() for name in (WHOLE, STATE))
    ]
