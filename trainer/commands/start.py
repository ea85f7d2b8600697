"""The policy that training starts from when none is named."""

from __future__ import annotations

from pathlib import Path

from trainer.registry import base_model


def starting_policy(policy: str | None, data_dir: Path) -> str:
    """The named policy, else the packaged model, which is converted here where that has not been done yet."""
    if policy is not None:
        return policy
    target = base_model(data_dir)
    if not target.exists():
        from trainer.packaged_model import convert, packaged_gguf

        convert(packaged_gguf(), target)
    return str(target)
