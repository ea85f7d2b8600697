"""The Chinese path, small: a two-layer Qwen3 learns from Chinese ads, goes through GRPO, and vLLM serves what it
writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from forbidden import forbidden

from app.core.settings import Settings
from app.up import model as packaged
from app.up.stack import Stack, free_port
from tests.trainer.small import save_small_policy, small_prompts
from trainer.baselines.sft import train_sft
from trainer.config import GrpoConfig, LoraSettings, SftConfig, Terms
from trainer.grpo.setup import Inputs
from trainer.grpo.train import train_grpo
from trainer.policy import merge_adapter

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# what the reference ads say, for nothing is served that its brief does not hold
POINTS = {
    "selling_points": ("手工制作，用料扎实，细节用心", "新品上架，耐用好看，送礼自用都合适", "专注实物，欢迎到店看看")
}
PROMPTS = [
    replace(prompt, brief=prompt.brief.model_copy(update={"ad": prompt.brief.ad.model_copy(update=POINTS)}))
    for prompt in small_prompts("zh")
]
MODEL = "qwen3-zh"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below pytest's own folder, which another run may tidy up while this one goes on."""
    with TemporaryDirectory(prefix="relate-qwen3-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """Random weights → SFT on the reference ads → two GRPO steps of an adapter → one folder."""
    start = save_small_policy(folder / "base", PROMPTS, kind="qwen3", width=64, head=32)
    learning = SftConfig(language="zh", lora=None, epochs=200, batch_size=4, micro_batch=4, learning_rate=5e-3)
    fine_tuned = train_sft(str(start), PROMPTS, learning, folder / "sft")
    config = GrpoConfig(
        language="zh",
        steps=2,
        batch_size=20,
        max_completion=96,
        lora=LoraSettings(rank=4, alpha=8),
        learning_rate=1e-4,
        terms=Terms.model_validate(
            {"length": {"weight": 0.5}, "format": {"weight": 0.5}}
            | {"diversity": {"weight": 0.5, "level": "token"}}
            | {name: {"weight": 2.0, "level": "token"} for name in ("risk", "correctness")}
        ),
        checkpoint_every=1,
    )
    outcome = train_grpo(config, Inputs(policy=str(fine_tuned)), PROMPTS, folder / "run")
    merge_adapter(fine_tuned, outcome.policy, folder / "merged")
    return folder / "merged"


@pytest.fixture(scope="module")
def stack(folder: Path, trained: Path) -> Iterator[Stack]:
    port = free_port("127.0.0.1", 0)
    vllm = packaged.server(trained, name=MODEL, port=port, log=folder / "vllm.log", environment=os.environ)
    vllm.start()
    try:
        settings = Settings(data_dir=folder / "data", port=0, policy_url=f"http://127.0.0.1:{port}")
        with Stack(settings) as running:
            vllm.wait_ready(packaged.LOAD_S)
            yield running
    finally:
        vllm.stop()


def test_a_chinese_brief_is_answered_by_the_policy_that_was_trained_for_it(stack: Stack) -> None:
    ops, ads = ({"Authorization": f"Bearer {stack.keys[scope]}"} for scope in ("ops", "generate"))
    policy = {
        "name": "qwen3zh",
        "kind": "vllm",
        "model": MODEL,
        "locales": ["zh-CN"],
        "decoding": {"temperature": 0.5, "structured": True},
    }
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as api:
        version = api.post("/policies", json=policy, headers=ops).raise_for_status().json()["version"]
        api.post("/policies/champion", json={"action": "promote", "version": version}, headers=ops).raise_for_status()
        for prompt in PROMPTS:
            brief = prompt.brief
            body = {
                "brief": brief.model_dump(mode="json"),
                "platform": "baidu_search",
                "unit_id": "读者一号",
                "deadline_ms": 30_000,
            }
            answer = api.post("/generate", json=body, headers=ads).raise_for_status().json()
            (text,) = answer["texts"]
            assert (text["source"], text["policy"], answer["reason"]) == ("fresh", version, None), answer
            assert brief.query in text["title"] + text["description"]
            assert forbidden(text["title"], [text["description"]], brief, "baidu_search") == []
