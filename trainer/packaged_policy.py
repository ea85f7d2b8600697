"""The trained adapter that ships, and how it is added to the packaged model. Heavy; needs no PEFT, which only training
installs.

    python -m trainer.packaged_policy runs/relate/policy     # pack the adapter of a run for the next release

Two steps of a release, with `trainer.registry.PACKAGED_POLICY` moved on: a server keys its caches by the policy's name.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from trainer.adapter import Adapter
from trainer.registry import PACKAGED_POLICY
from trainer.source import PACKAGED

if TYPE_CHECKING:
    from torch import nn

FOLDER = Path(__file__).parent / "data" / "policies" / PACKAGED_POLICY
# what loading an adapter needs
_KEPT = ("peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "bias", "target_modules")
_PREFIX, _DOWN, _UP = "base_model.model.", ".lora_A.weight", ".lora_B.weight"  # of PEFT's names


def pack(adapter: Path, folder: Path = FOLDER) -> None:
    """Write the adapter's weights in bfloat16 and what of its settings is not a default. Its base becomes the packaged
    model.
    """
    Adapter.read(adapter)  # refused here what could not be added below
    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    kept = {name: settings[name] for name in _KEPT} | {"target_modules": sorted(settings["target_modules"])}
    kept["base_model_name_or_path"] = PACKAGED
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: weight.to(torch.bfloat16) for name, weight in load_file(adapter / "adapter_model.safetensors").items()
    }
    save_file(weights, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def add(model: nn.Module, folder: Path = FOLDER) -> None:
    """W ← W + (α/r)·B·A for every adapted layer, added in float32. ValueError for an adapter of another model."""
    settings = Adapter.read(folder)
    if settings is None:
        raise ValueError(f"{folder} holds no adapter_config.json: it is no adapter")
    adapter, weights = load_file(folder / "adapter_model.safetensors"), dict(model.named_parameters())
    for name, down in adapter.items():
        if not name.endswith(_DOWN):
            continue
        own, up = name.removeprefix(_PREFIX).replace(_DOWN, ".weight"), adapter[name.replace(_DOWN, _UP)]
        if own not in weights or weights[own].shape != (up.shape[0], down.shape[1]):
            raise ValueError(
                f"{folder} is an adapter of another model: {own} of {up.shape[0]} × {down.shape[1]} is not in this one"
            )
        update = settings.alpha / settings.rank * (up.float() @ down.float())
        weights[own].data.copy_(weights[own].data.float() + update)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m trainer.packaged_policy", description="Pack an adapter for the next release."
    )
    parser.add_argument("adapter", type=Path)
    pack(parser.parse_args().adapter)
    print(FOLDER)
