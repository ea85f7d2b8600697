"""Policies as folders: loaded, adapted, frozen as a reference, merged, in Chinese and English alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.small import save_small_policy, small_prompts
from trainer import packaged_policy
from trainer.config import ConfigError, LoraSettings
from trainer.policy import (
    Reference,
    completion_ids,
    decode,
    load_policy,
    merge_adapter,
    merged_state,
    prompt_ids,
    save_policy,
    trained_state,
)  # fmt: skip
from trainer.tokens import end_of_text

LORA = LoraSettings(rank=4, alpha=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_small_policy(
        tmp_path_factory.mktemp("policy") / "base", small_prompts() + small_prompts("zh"), kind="qwen3"
    )


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits


def unsettle(model) -> None:
    """Move what trains, as an optimiser would."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in trained_state(model).values():
            weight.add_(0.05 * torch.randn_like(weight))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_completion_reads_back_as_the_text_it_stands_for(folder, language):
    _, tokenizer = load_policy(folder)
    prompt = small_prompts(language)[0]
    text = prompt.references[0]
    ids = completion_ids(tokenizer, text, language)
    assert ids[-1] == end_of_text(tokenizer) and ids.count(ids[-1]) == 1
    assert text.title in decode(tokenizer, ids) and text.description in decode(tokenizer, ids)
    asked = tokenizer.decode(prompt_ids(tokenizer, prompt))
    assert prompt.brief.query in asked and asked.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_the_reference_stays_what_the_policy_was(folder, lora):
    model, tokenizer = load_policy(folder, lora=lora)
    unsettle(model)  # as if fine-tuned before
    ids = prompt_ids(tokenizer, small_prompts()[0])
    before, reference = logits(model, ids), Reference(model)
    names = trained_state(model).keys()
    unsettle(model)
    after = logits(model, ids)
    with reference.active() as frozen:
        assert torch.equal(logits(frozen, ids), before)
    assert torch.equal(logits(model, ids), after) and not torch.allclose(after, before)
    assert trained_state(model).keys() == names  # what trains still trains, and nothing else
    assert lora is None or all("lora_" in name and "reference" not in name for name in names)


def test_an_adapter_survives_saving_and_merging(folder, tmp_path):
    model, tokenizer = load_policy(folder, lora=LORA)
    unsettle(model)
    ids = prompt_ids(tokenizer, small_prompts()[0])
    expected = logits(model, ids)
    save_policy(model, tokenizer, tmp_path / "adapter")
    assert not list((tmp_path / "adapter").glob("model*"))  # the adapter alone

    again, _ = load_policy(tmp_path / "adapter", lora=LORA)
    assert torch.equal(logits(again, ids), expected)
    merge_adapter(folder, tmp_path / "adapter", tmp_path / "merged", dtype=torch.float32)
    merged, _ = load_policy(tmp_path / "merged")
    assert torch.allclose(logits(merged, ids), expected, atol=1e-4)
    assert not (tmp_path / "merged.partial").exists()
    with pytest.raises(ConfigError, match="rank 4, the config says 8"):
        load_policy(tmp_path / "adapter", lora=LoraSettings(rank=8))


def test_a_packed_adapter_is_small_loads_as_any_other_and_adds_up_without_peft(folder, tmp_path):
    model, tokenizer = load_policy(folder, lora=LORA)
    unsettle(model)
    save_policy(model, tokenizer, tmp_path / "adapter")
    packaged_policy.pack(tmp_path / "adapter", tmp_path / "packed")
    assert {path.name for path in (tmp_path / "packed").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    weights = load_file(tmp_path / "packed" / "adapter_model.safetensors")
    assert weights.keys() == load_file(tmp_path / "adapter" / "adapter_model.safetensors").keys()
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}

    plain, _ = load_policy(folder)
    packaged_policy.add(plain, tmp_path / "packed")
    by_peft, _ = load_policy(tmp_path / "packed", base=folder)  # merged by PEFT
    assert all(
        torch.allclose(weight, by_peft.state_dict()[name], atol=1e-6) for name, weight in plain.state_dict().items()
    )
    ids = prompt_ids(tokenizer, small_prompts()[0])
    assert torch.allclose(logits(plain, ids), logits(model, ids), atol=0.02)  # bfloat16


def test_a_packed_adapter_of_another_model_is_refused_by_its_layer(folder, tmp_path):
    model, tokenizer = load_policy(folder, lora=LORA)
    save_policy(model, tokenizer, tmp_path / "adapter")
    packaged_policy.pack(tmp_path / "adapter", tmp_path / "packed")
    wider, _ = load_policy(save_small_policy(tmp_path / "wider", small_prompts(), kind="qwen3", width=64))
    with pytest.raises(
        ValueError, match=r"adapter of another model: model\.layers\.0\.\S+ of \d+ × \d+ is not in this one"
    ):
        packaged_policy.add(wider, tmp_path / "packed")


def test_a_merged_state_is_a_copy_that_leaves_the_training_weights_alone(folder):
    model, tokenizer = load_policy(folder, lora=LORA)
    unsettle(model)
    ids = prompt_ids(tokenizer, small_prompts()[0])
    expected, state = logits(model, ids), merged_state(model)
    plain, _ = load_policy(folder)
    assert state.keys() == merged_state(plain).keys()
    missing, unexpected = plain.load_state_dict(state, strict=False)
    assert not unexpected and missing in ([], ["lm_head.weight"])  # tied
    assert torch.allclose(logits(plain, ids), expected, atol=1e-4)
    for weight in state.values():
        weight.zero_()
    assert torch.equal(logits(model, ids), expected)


def test_what_cannot_be_loaded_is_refused_by_name(folder):
    with pytest.raises(ConfigError, match="has to be converted first"):
        load_policy("packaged")
    _, tokenizer = load_policy(folder)
    tokenizer.eos_token = None
    with pytest.raises(ConfigError, match="no end-of-text token"):
        end_of_text(tokenizer)
