"""What supervised fine-tuning and DPO share around TRL's trainers: one GPU, checkpoints that are whole, a policy that
appears at the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from trainer.checkpoint import RESUMABLE, newest_whole
from trainer.config import ConfigError
from trainer.durable import fill, seal
from trainer.policy import is_adapted, save_policy

# what TRL is told about checkpoints
SAVING: dict[str, Any] = {"save_strategy": "steps", "save_steps": 10, "save_total_limit": RESUMABLE}


def refuse_several_gpus() -> None:
    """ConfigError where more than one GPU is visible: TRL would split every batch over them, and its loss with it."""
    if (count := torch.cuda.device_count()) > 1:
        raise ConfigError(
            f"{count} GPUs are visible, and fine-tuning runs on one: set CUDA_VISIBLE_DEVICES=0 (or another number)"
        )


def train(trainer: Any, tokenizer: Any, out: Path) -> Path:
    """Train from the newest whole checkpoint in out/checkpoints, or from the start, and save the policy in `out`."""
    trainer.add_callback(_Seal())
    checkpoints = (out / "checkpoints").glob(f"{PREFIX_CHECKPOINT_DIR}-*")
    folder = newest_whole(sorted(checkpoints, key=_step, reverse=True))
    trainer.train(resume_from_checkpoint=str(folder) if folder else None)
    last = "adapter_config.json" if is_adapted(trainer.model) else "config.json"
    fill(out, lambda partial: save_policy(trainer.model, tokenizer, partial), last)
    return out


class _Seal(TrainerCallback):
    """Lists what a checkpoint holds once all of it is written: one that a killed run left half-written has no list."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        seal(Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")


def _step(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])
