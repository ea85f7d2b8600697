"""The Chinese path, small: a two-layer Qwen3 learns from Chinese ads, goes through GRPO, and vLLM serves what it
writes. Uses Qwen3's tokenizer and chat template where RELATE_DATA holds them, else a vocabulary made from the ads.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest
from forbidden import forbidden
from transformers import AutoTokenizer

from adtext.brief import AdBrief
from app.core.settings import Settings
from app.policies.vllm_http import request_body
from app.up import model as packaged
from app.up.stack import Stack, free_port
from tests.trainer.qwen3 import DATA, save_qwen3
from tests.trainer.small import save_small_policy, small_prompts
from trainer.baselines.sft import train_sft
from trainer.config import GrpoConfig, LoraSettings, SftConfig, Terms
from trainer.grpo.setup import Inputs
from trainer.grpo.train import train_grpo
from trainer.policy import merge_adapter, prompt_ids
from trainer.registry import PolicyVersion

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# what the reference ads say, for nothing is served that its brief does not hold
POINTS = {
    "selling_points": ("手工制作，用料扎实，细节用心", "新品上架，耐用好看，送礼自用都合适", "专注实物，欢迎到店看看")
}
PROMPTS = [
    replace(prompt, brief=prompt.brief.model_copy(update={"ad": prompt.brief.ad.model_copy(update=POINTS)}))
    for prompt in small_prompts("zh")[:2]
]
MODEL = "qwen3-zh"
REAL = (DATA / "tokenizer.json.gz").is_file()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below pytest's own folder, which another run may tidy up while this one goes on."""
    with TemporaryDirectory(prefix="relate-qwen3-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """Random weights → SFT on the reference ads → two GRPO steps of an adapter → one folder."""
    if REAL:  # a vocabulary of 151,669 tokens: each step takes longer, and fewer are needed
        start, epochs, rate = save_qwen3(folder / "base", width=64, head=32), 50, 1e-2
    else:
        start, epochs, rate = save_small_policy(folder / "base", PROMPTS, kind="qwen3", width=64, head=32), 200, 5e-3
    learning = SftConfig(language="zh", lora=None, epochs=epochs, batch_size=2, micro_batch=2, learning_rate=rate)
    fine_tuned = train_sft(str(start), PROMPTS, learning, folder / "sft")
    config = GrpoConfig(
        language="zh",
        steps=2,
        batch_size=10,
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
def vllm_url() -> str:
    return f"http://127.0.0.1:{free_port('127.0.0.1', 0)}"


@pytest.fixture(scope="module")
def stack(folder: Path, trained: Path, vllm_url: str) -> Iterator[Stack]:
    port = int(vllm_url.rpartition(":")[2])
    vllm = packaged.server(trained, name=MODEL, port=port, log=folder / "vllm.log", environment=os.environ)
    vllm.start()
    try:
        settings = Settings(data_dir=folder / "data", port=0, policy_url=vllm_url, unjudged="serve")
        with Stack(settings) as running:
            vllm.wait_ready(packaged.LOAD_S)
            yield running
    finally:
        vllm.stop()


def bearer(stack: Stack, scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.keys[scope]}"}


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def version(stack: Stack, api: httpx.Client) -> str:
    """The trained policy, registered for Chinese and promoted."""
    policy = {
        "name": "qwen3zh",
        "kind": "vllm",
        "model": MODEL,
        "locales": ["zh-CN"],
        "decoding": {"temperature": 0.5, "structured": True},
    }
    ops = bearer(stack, "ops")
    made: str = api.post("/policies", json=policy, headers=ops).raise_for_status().json()["version"]
    move = {"action": "promote", "version": made, "override_reason": "a test without reward models"}
    api.post("/policies/champion", json=move, headers=ops).raise_for_status()
    return made


def asked(brief: AdBrief) -> dict[str, Any]:
    return {
        "brief": brief.model_dump(mode="json"),
        "platform": "baidu_search",
        "unit_id": "读者一号",
        "deadline_ms": 30_000,
    }


def test_the_server_reads_the_served_prompt_as_the_tokens_of_training(
    stack: Stack, trained: Path, vllm_url: str
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained)
    policy = PolicyVersion(version="qwen3zh-1", kind="vllm", locales=("zh-CN",), model=MODEL)
    with httpx.Client(base_url=vllm_url, timeout=60, trust_env=False) as server:
        for prompt in PROMPTS:
            body = request_body(policy, prompt.brief, prompt.spec, n=1, seed=0)
            sent = {name: body[name] for name in ("model", "messages", "chat_template_kwargs")}
            read = server.post("/tokenize", json=sent | {"add_generation_prompt": True}).raise_for_status().json()
            assert read["tokens"] == prompt_ids(tokenizer, prompt)
            assert tokenizer.decode(read["tokens"]).endswith("</think>\n\n") == REAL


def test_a_chinese_brief_is_answered_by_the_policy_that_was_trained_for_it(
    stack: Stack, api: httpx.Client, version: str
) -> None:
    for prompt in PROMPTS:
        brief = prompt.brief
        answer = api.post("/generate", json=asked(brief), headers=bearer(stack, "generate")).raise_for_status().json()
        (text,) = answer["texts"]
        assert (text["source"], text["policy"], answer["reason"]) == ("fresh", version, None), answer
        assert brief.query in text["title"] + text["description"]
        assert forbidden(text["title"], [text["description"]], brief, "baidu_search") == []


def test_a_regulated_brief_is_served_the_text_that_a_reviewer_approved(
    stack: Stack, api: httpx.Client, version: str
) -> None:
    ad = PROMPTS[0].brief.ad.model_copy(update={"id": "regulated-1", "industry": "legal"})
    brief, ads = PROMPTS[0].brief.model_copy(update={"ad": ad}), bearer(stack, "generate")
    waiting = api.post("/generate", json=asked(brief), headers=ads).raise_for_status().json()
    assert (waiting["texts"], waiting["reason"]) == ([], "review_required")
    text_id = first_in_review(stack.settings.psycopg_url)
    known = api.get(f"/texts/{text_id}/provenance", headers=bearer(stack, "review")).raise_for_status().json()
    assert (known["state"], known["policy"], known["locale"]) == ("review", version, "zh-CN")
    review = {"decision": "approve", "note": "属实"}
    decided = api.post(f"/texts/{text_id}/review", json=review, headers=bearer(stack, "review"))
    assert decided.raise_for_status().json()["state"] == "approved"
    until = time.monotonic() + 10  # the replica hears of the decision a moment later
    while not (served := api.post("/generate", json=asked(brief), headers=ads).raise_for_status().json())["texts"]:
        assert time.monotonic() < until, served
        time.sleep(0.1)
    assert [text["text_id"] for text in served["texts"]] == [text_id], served
    assert served["texts"][0]["policy"] == version


def first_in_review(database_url: str) -> str:
    """The text that the refill behind the first answer wrote."""
    deadline = time.monotonic() + 60
    with psycopg.connect(database_url, autocommit=True) as connection:
        while time.monotonic() < deadline:
            row = connection.execute("SELECT id FROM texts WHERE state = 'review' ORDER BY score DESC").fetchone()
            if row is not None:
                return str(row[0])
            time.sleep(0.2)
    raise AssertionError("nothing was written for review within a minute")
