"""The packaged policy model: prepared once, then served by vLLM as a child."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from app.up.child import Child

PREPARE_S, LOAD_S = 900.0, 900.0


def prepare(data_dir: Path, environment: Mapping[str, str]) -> Child | None:
    """The child that converts the packaged model to data_dir/models/relate-base; None when that is done."""
    target = folder(data_dir)
    if target.exists():
        return None
    return Child(
        name="preparing the packaged model",
        command=[sys.executable, "-m", "trainer.packaged_model", str(target)],
        log=data_dir / "logs" / "prepare-model.log",
        environment=environment,
        ready=target.exists,
    )


def folder(data_dir: Path) -> Path:
    return data_dir / "models" / "relate-base"


def server(data_dir: Path, *, name: str, port: int, environment: Mapping[str, str]) -> Child:
    """vLLM over the prepared model. bfloat16: on CPU at least as fast as float32, and half the memory.

    Eager: compiling would take two more minutes at every start. Priority scheduling lets a live request pass a prefill.
    """
    url = f"http://127.0.0.1:{port}"
    return Child(
        name="vLLM",
        command=[
            *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(folder(data_dir)), "--served-model-name", name),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--dtype", "bfloat16", "--max-model-len", "2048", "--max-num-seqs", "64"),
            *("--scheduling-policy", "priority", "--enforce-eager", "--disable-uvicorn-access-log"),
        ],
        log=data_dir / "logs" / "vllm.log",
        environment={"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", **environment},
        ready=lambda: answers(f"{url}/health"),
    )


def answers(url: str) -> bool:
    """Whether a GET answers 2xx within a second."""
    try:
        return httpx.get(url, timeout=1.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False
