"""A run with vLLM rollouts, in a process of its own: the engine binds threads and joins a process group that other
tests must not share.

python -m tests.trainer.vllm_run POLICY OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.trainer.runs import a_run_config, trained
from trainer.config import LoraSettings

if __name__ == "__main__":
    config = a_run_config(rollout="vllm", steps=3, lora=LoraSettings(rank=4, alpha=8), learning_rate=3e-2)
    trained(Path(sys.argv[1]), Path(sys.argv[2]), config)
