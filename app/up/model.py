"""The packaged policy: prepared once, then served by vLLM as a child process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import httpx

from app.up.child import Child, UpError
from trainer.registry import PACKAGED_POLICY

LOAD_S = 900.0
LOG_FORMAT = Path(__file__).with_name("vllm_log.json")  # times as in the other logs, where TZ is UTC
_DEFAULTS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_CONFIG_PATH": str(LOG_FORMAT),
}

# Eager: compiling would take two more minutes at the first start. Prompts whole: this vLLM's engine dies when a prompt
# with a seed is prefilled in pieces («CPU Generator does not use offset»). Blocks of 32 tokens, the smallest that its
# CPU attention has: the texts of one request share the whole blocks of their prompt, and each computes the rest for
# itself.
_ON_CPU = ("--enforce-eager", "--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096", "--block-size", "32")

# champion, challenger and previous; the shipped configurations train adapters of rank 16 and 64
_ADAPTERS = ("--enable-lora", "--max-loras", "3", "--max-lora-rank", "64")
_UPDATING = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}


def prepare(data_dir: Path, environment: Mapping[str, str]) -> Child | None:
    """The process that converts the packaged model and merges the packaged policy; None when this is done."""
    target = served(data_dir)
    if target.exists():
        return None
    return Child(
        name="preparing the packaged model",
        command=[sys.executable, "-m", "trainer.packaged_model", str(target), "--trained"],
        log=data_dir / "logs" / "prepare-model.log",
        environment=environment,
        ready=target.exists,
    )


def served(data_dir: Path) -> Path:
    """The merged packaged policy."""
    return data_dir / "models" / PACKAGED_POLICY


def server(
    model: Path, *, name: str, port: int, log: Path, environment: Mapping[str, str], adapters: bool = False
) -> Child:
    """The vLLM process for a model folder, which serves the model as `name`. Priority scheduling lets a live request
    pass a prefill. adapters: LoRA adapters may be loaded while it runs.

    On a CPU, 1 GiB of cache holds several requests of full length. vLLM leaves one core free for the API.
    """
    on_cpu = _build() == "vllm-cpu"
    url = f"http://127.0.0.1:{port}"
    return Child(
        name="vLLM",
        command=[
            *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(model), "--served-model-name", name),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--dtype", cpu_dtype() if on_cpu else "bfloat16", "--max-model-len", "2048", "--max-num-seqs", "64"),
            *("--scheduling-policy", "priority", "--disable-uvicorn-access-log"),
            *(_ON_CPU if on_cpu else ()),
            *(_ADAPTERS if adapters else ()),
        ],
        log=log,
        environment=_DEFAULTS | (_UPDATING if adapters else {}) | dict(environment) | {"TZ": "UTC"},
        ready=lambda: answers(f"{url}/health"),
    )


def cpu_dtype(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """bfloat16, which needs half the memory, where the processor supports it; else float32, which is then eight times
    as fast.
    """
    words = set(cpuinfo.read_text(encoding="utf-8").split()) if cpuinfo.exists() else set()
    return "bfloat16" if words & {"avx512_bf16", "amx_bf16", "bf16"} else "float32"


def _build() -> str:
    """The installed distribution of vLLM. Raises UpError when there is none."""
    for name in ("vllm-cpu", "vllm"):
        try:
            return distribution(name).name
        except PackageNotFoundError:
            continue
    raise UpError(
        "vLLM is not installed: `make run` installs it; else name a server with RELATE_POLICY_URL, or serve templates "
        "with --no-model"
    )


def answers(url: str) -> bool:
    """Whether a GET answers 2xx within a second."""
    try:
        return httpx.get(url, timeout=1.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False
