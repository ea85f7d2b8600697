"""A real vLLM takes an adapter while it runs, and again after a restart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from app.core.settings import Settings
from app.services.registry.adapters import Adapters
from app.up import model as packaged
from app.up.child import Child
from app.up.stack import free_port
from tests.trainer.small import save_small_policy, small_prompts
from trainer.registry import PolicyVersion

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]
NAME = "relate-20261129-abcdef"


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A small base model, and an adapter of it with weights that change every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    with TemporaryDirectory(prefix="relate-adapters-") as folder:
        root = Path(folder)
        base = save_small_policy(root / "models" / "writer", small_prompts("zh"), kind="qwen3", width=64, head=32)
        model = AutoModelForCausalLM.from_pretrained(base)
        config = LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM")
        adapted = get_peft_model(model, config)
        torch.manual_seed(1)
        for name, weight in adapted.named_parameters():
            if ".lora_B." in name:
                torch.nn.init.normal_(weight)
        adapted.peft_config["default"].base_model_name_or_path = str(base)
        adapted.save_pretrained(str(root / "artifacts" / "policies" / NAME))
        yield root


def written(url: str, model: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "跑鞋"}], "temperature": 0, "max_tokens": 16}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=120, trust_env=False)
    return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])


def started(data_dir: Path, port: int) -> Child:
    vllm = packaged.server(
        data_dir / "models" / "writer", name="writer", port=port, log=data_dir / "vllm.log", environment=os.environ,
        adapters=True,
    )  # fmt: skip
    vllm.start()
    vllm.wait_ready(packaged.LOAD_S)
    return vllm


async def test_an_adapter_is_loaded_into_a_running_server_and_after_its_restart(data_dir: Path) -> None:
    port = free_port("127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}"
    policy = PolicyVersion(
        version="relate-1", kind="vllm", locales=("zh-CN",), endpoint=url, model=NAME,
        artifact=f"artifacts/policies/{NAME}",
    )  # fmt: skip
    adapters = Adapters(Settings(data_dir=data_dir))
    for _ in range(2):
        vllm = started(data_dir, port)
        try:
            before = written(url, "writer")
            assert [await adapters.serve(policy) for _ in range(2)] == [True, False]
            assert written(url, NAME) != before and written(url, "writer") == before
        finally:
            vllm.stop()
