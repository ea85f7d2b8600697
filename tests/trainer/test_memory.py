"""The memory estimate is counted by hand once, moves as it must, and warns where a run will not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import AutoConfig

from tests.trainer.small import save_small_policy, small_prompts
from trainer.config import GrpoConfig, LoraSettings
from trainer.distributed import use_own_gpu
from trainer.grpo import Inputs
from trainer.grpo.memory import memory_line, shape_of
from trainer.grpo.setup import memory_of
from trainer.memory import GIB, ModelShape, estimate
from trainer.policy import load_policy

SHAPE = ModelShape(weights=1000, adapter=0, layers=2, hidden=8, intermediate=16, kv_width=4, vocabulary=50)
CONFIG = GrpoConfig(batch_size=10, max_completion=3, micro_groups=1)


def test_every_part_is_counted():
    memory = estimate(CONFIG, SHAPE, prompt_tokens=7)
    tokens, sampled = 7 + 5 * 3, 5 * 3
    assert memory.weights == memory.gradients == memory.reference == 4 * 1000
    assert memory.optimiser == 8 * 1000
    assert memory.activations == tokens * 2 * (10 * 8 + 4 * 16) * 4
    assert memory.logits == sampled * 50 * 4 * 2
    assert memory.cache == 2 * tokens * 2 * 2 * 4 * 4 and memory.sampler == 0  # two prompts; keys and values
    assert memory.buckets == memory.push == memory.encoders == 0
    assert memory.total == 4 * 3000 + 8000 + memory.activations + memory.logits + memory.cache


def test_vllm_takes_its_share_of_the_gpu_and_a_push_the_largest_weight():
    config = CONFIG.with_changes(rollout="vllm", precision="bfloat16", engine="deepspeed", rollout_memory=0.25)
    memory = estimate(config, SHAPE, 7, gpu=10_000, encoders=2)
    assert memory.sampler == 2500 and memory.cache == 0  # its cache is inside
    assert memory.push == 2 * (8 * 50) * 2 and memory.encoders == 2 * int(2.4e9)
    adapted = estimate(config, replace(SHAPE, adapter=100), 7, gpu=10_000)
    assert adapted.push == 2 * (8 * 16) * 2  # the vocabulary is not pushed


@pytest.mark.parametrize(("tokens", "groups"), [(22, 1), (44, 2), (60, 2), (5, 1)])
def test_a_budget_of_tokens_counts_as_the_groups_that_fit(tokens, groups):
    by_tokens = estimate(CONFIG.with_changes(micro_tokens=tokens), SHAPE, 7)
    by_groups = estimate(CONFIG.with_changes(micro_groups=groups), SHAPE, 7)
    assert (by_tokens.activations, by_tokens.logits) == (by_groups.activations, by_groups.logits)


@pytest.mark.parametrize(
    ("changes", "part", "bytes_"),
    [
        ({"beta": 0.0}, "reference", 0),
        ({"gradient_checkpointing": True}, "activations", 22 * (2 * 8 + 10 * 8 + 4 * 16) * 4),
        ({"engine": "deepspeed", "ranks": 2, "precision": "bfloat16"}, "weights", 2 * 1000),
        ({"engine": "deepspeed", "ranks": 2, "precision": "bfloat16"}, "optimiser", (8 + 4) * 1000 // 2),
        ({"engine": "deepspeed", "ranks": 2, "precision": "bfloat16"}, "gradients", 2 * 4 * 1000 // 2),  # float32
        ({"engine": "deepspeed", "ranks": 2, "precision": "bfloat16"}, "buckets", 3 * 2 * 1000),
        ({"rollout": "vllm", "precision": "bfloat16"}, "sampler", 2 * 1000 + GIB),
    ],
)
def test_each_setting_changes_its_part(changes, part, bytes_):
    assert getattr(estimate(CONFIG.with_changes(**changes), SHAPE, 7), part) == bytes_


def test_the_weights_of_a_model_and_of_its_adapter_are_counted_without_loading_it(tmp_path: Path):
    folder = save_small_policy(tmp_path / "base", small_prompts())
    lora = LoraSettings(rank=4, alpha=8)
    shape = shape_of(AutoConfig.from_pretrained(folder), lora)
    model, _ = load_policy(folder, lora=lora)
    sizes = {name: weight.numel() for name, weight in model.named_parameters()}
    assert shape.adapter == sum(size for name, size in sizes.items() if "lora_" in name)
    assert shape.weights == sum(sizes.values()) - shape.adapter
    line = memory_of(GrpoConfig(batch_size=10, lora=lora), Inputs(policy=str(folder)), small_prompts())
    assert line.startswith("memory: about 0.") and "will not fit" not in line


def test_every_rank_takes_its_own_gpu(monkeypatch):
    taken = []
    fake = SimpleNamespace(is_available=lambda: True, set_device=taken.append)
    monkeypatch.setattr("trainer.distributed.torch.cuda", fake)
    for rank in ("0", "3"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        use_own_gpu()
    assert taken == [0, 3]


def test_a_run_that_will_not_fit_is_warned_of_with_the_way_out():
    memory = estimate(CONFIG, SHAPE, 7)
    assert "this will not fit: lower micro_groups" in memory_line(memory, free=memory.total - 1)
    assert memory_line(memory, free=2 * GIB).endswith("2.0 GiB are free")
