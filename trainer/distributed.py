"""The processes that train one policy: a single process, or several under DeepSpeed ZeRO-2 through Accelerate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from trainer.config import ConfigError, GrpoConfig

Item = TypeVar("Item")


def use_own_gpu() -> None:
    """Make this rank's GPU the current one. Call it before anything else touches CUDA: a context on GPU 0 would
    otherwise take half a gigabyte there for every rank.
    """
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


class Ranks:
    """This process among the processes of its run. A single process needs no engine: `accelerator` is None then."""

    def __init__(self, config: GrpoConfig) -> None:
        self.accelerator: Any = None
        self.number, self.count = 0, 1
        if config.engine == "deepspeed":
            self.accelerator = _accelerator(config)
            self.number, self.count = self.accelerator.process_index, self.accelerator.num_processes
        if self.count != config.ranks:
            raise ConfigError(
                f"ranks {config.ranks} in the config, {self.count} processes here: start it with `relate train grpo`"
            )

    @property
    def main(self) -> bool:
        """Whether this process is rank 0."""
        return self.number == 0

    def share(self, items: Sequence[Item]) -> list[Item]:
        """This rank's part of a step, the same size on every rank."""
        size = len(items) // self.count
        return list(items[self.number * size : (self.number + 1) * size])

    def gather(self, items: list[Item]) -> list[Item]:
        """The items of all ranks in rank order, returned on every rank. Items are pickled."""
        if self.count == 1:
            return items
        gathered: list[list[Item]] = [[]] * self.count
        torch.distributed.all_gather_object(gathered, items)
        return [item for part in gathered for item in part]

    def prepare(self, model: Any, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
        """Model and optimiser, wrapped by the engine."""
        if self.accelerator is None:
            return model, optimizer
        prepared: tuple[Any, Any] = self.accelerator.prepare(model, optimizer)
        return prepared

    def wait(self) -> None:
        """Wait until every rank has reached this point."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()

    def save_engine(self, folder: Path) -> None:
        """Write each rank's part of weights and optimiser. All ranks call it."""
        self.accelerator.save_state(str(folder))

    def load_engine(self, folder: Path) -> None:
        self.accelerator.load_state(str(folder))


def _accelerator(config: GrpoConfig) -> Any:
    from accelerate import Accelerator, DeepSpeedPlugin  # type: ignore[import-untyped]

    zero = {
        "zero_optimization": {"stage": 2, "overlap_comm": torch.cuda.is_available()},
        "zero_allow_untested_optimizer": True,  # torch's AdamW: DeepSpeed's own would be compiled first
        "train_micro_batch_size_per_gpu": 1,  # the step lays out its own micro-batches
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.max_grad_norm,
        "bf16": {"enabled": config.precision == "bfloat16"},
        "data_types": {"grad_accum_dtype": "fp32"},  # in bfloat16 the sum over micro-batches would lose small gradients
        "steps_per_print": 1 << 60,
    }
    return Accelerator(deepspeed_plugin=DeepSpeedPlugin(hf_ds_config=zero), cpu=not torch.cuda.is_available())
