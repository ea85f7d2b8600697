"""Policies as folders: loaded, adapted, frozen as a reference, merged, in Chinese and English alike."""

from __future__ import annotations

import json
import shutil
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tests.trainer.small import save_small_policy, small_prompts
from trainer import packaged_policy
from trainer.config import ConfigError, LoraSettings
from trainer.policy import (
    Reference,
    completion_ids,
    decode,
    load_policy,
    merge_adapter,
    merged_weights,
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
    assert all(("lora_" in name) is (lora is not None) and "reference" not in name for name in names)


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


def test_a_merged_adapter_trains_all_weights(folder, adapter):
    model, tokenizer = load_policy(adapter)
    plain, _ = load_policy(folder)
    assert trained_state(model).keys() == trained_state(plain).keys() != set()
    ids = prompt_ids(tokenizer, small_prompts("zh")[0])
    continued, _ = load_policy(adapter, lora=LORA)
    assert torch.allclose(logits(model, ids), logits(continued, ids), atol=1e-4)
    reference = Reference(model)
    unsettle(model)
    with reference.active() as frozen:
        assert torch.allclose(logits(frozen, ids), logits(continued, ids), atol=1e-4)


@pytest.fixture
def adapter(folder, tmp_path) -> Path:
    model, tokenizer = load_policy(folder, lora=LORA)
    unsettle(model)
    save_policy(model, tokenizer, tmp_path / "an adapter")
    return tmp_path / "an adapter"


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        (LoraSettings(rank=8, alpha=8), r"lora\.rank 8 \(the adapter has 4\)"),
        (LoraSettings(rank=4, alpha=32), r"lora\.alpha 32 \(the adapter has 8\)"),
        (
            LoraSettings(rank=4, alpha=8, targets=("q_proj", "v_proj")),
            r"lora\.targets q_proj, v_proj \(the adapter has",
        ),
    ],
    ids=["rank", "alpha", "targets"],
)
def test_settings_that_contradict_the_adapter_are_refused_before_a_model_loads(adapter, lora, said, monkeypatch):
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", None)
    with pytest.raises(ConfigError, match=said) as raised:
        load_policy(adapter, lora=lora)
    assert "\n" not in str(raised.value) and "lora: null to merge it" in str(raised.value)


@pytest.mark.parametrize("lora", [None, LORA], ids=["merged", "continued"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("use_dora", True),
        ("use_rslora", True),
        ("alpha_pattern", {"q_proj": 64}),
        ("rank_pattern", {"q_proj": 2}),
        ("modules_to_save", ["lm_head"]),
        ("bias", "all"),
        ("init_lora_weights", "pissa"),
        ("target_modules", ".*_proj"),
        ("peft_type", "LOHA"),
        ("a_setting_of_next_year", {"x": 1}),
    ],
)
def test_what_an_adapter_holds_and_this_code_does_not_read_is_refused_by_name(adapter, name, value, lora):
    change_settings(adapter, **{name: value})
    with pytest.raises(ConfigError, match=rf"settings that are not read here \({name}: ") as raised:
        load_policy(adapter, lora=lora)
    assert "\n" not in str(raised.value)


def test_an_adapters_dropout_is_refused_where_it_is_continued(adapter):
    change_settings(adapter, lora_dropout=0.05)
    load_policy(adapter)
    with pytest.raises(ConfigError, match=r"lora_dropout 0\.05"):
        load_policy(adapter, lora=LORA)


def test_weights_of_an_adapter_that_are_not_read_are_refused_by_name(folder, adapter):
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file(weights | {"base_model.model.lm_head.weight": torch.zeros(2, 2)}, adapter / "adapter_model.safetensors")
    with pytest.raises(ConfigError, match=r"not read here: base_model\.model\.lm_head\.weight"):
        load_policy(adapter)
    plain, _ = load_policy(folder)
    with pytest.raises(ConfigError, match=r"not read here: base_model\.model\.lm_head\.weight"):
        packaged_policy.add(plain, adapter)


@pytest.mark.parametrize("missing", ["layers.1", "lora_B"])
def test_an_adapter_that_does_not_fit_its_base_is_refused_with_one_line(folder, adapter, missing):
    weights = load_file(adapter / "adapter_model.safetensors")
    kept = {name: weight for name, weight in weights.items() if missing not in name}
    save_file(kept, adapter / "adapter_model.safetensors")
    with pytest.raises(ConfigError, match="is an adapter of another model") as raised:
        load_policy(adapter)
    assert "\n" not in str(raised.value)


def test_an_adapter_of_a_wider_model_is_refused_with_one_line(adapter, tmp_path):
    wider = save_small_policy(tmp_path / "wider", small_prompts(), kind="qwen3", width=64)
    with pytest.raises(ConfigError, match="is an adapter of another model") as raised:
        load_policy(adapter, base=wider)
    assert "\n" not in str(raised.value)


def change_settings(adapter: Path, **changes: object) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


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
    expected, state = logits(model, ids), dict(merged_weights(model))
    plain, _ = load_policy(folder)
    assert state.keys() == dict(merged_weights(plain)).keys()
    missing, unexpected = plain.load_state_dict(state, strict=False)
    assert not unexpected and missing in ([], ["lm_head.weight"])  # tied
    assert torch.allclose(logits(plain, ids), expected, atol=1e-4)
    for weight in state.values():
        weight.zero_()
    assert torch.equal(logits(model, ids), expected)


def test_a_push_needs_memory_for_one_weight_at_a_time(folder):
    model, _ = load_policy(folder, lora=LORA)
    given = []
    for _, weight in merged_weights(model):
        assert [one() for one in given] == [None] * len(given), "a weight before this one is still held"
        given.append(weakref.ref(weight))
        del weight


@pytest.mark.parametrize(
    ("targets", "pushed"),
    [
        (("q_proj",), {"q_proj", "k_proj", "v_proj", "o_proj"}),  # a sampler fuses query, key and value
        (("down_proj",), {"gate_proj", "up_proj", "down_proj"}),
    ],
)
def test_of_an_adapter_only_the_layers_that_it_changed_are_pushed(folder, targets, pushed):
    model, _ = load_policy(folder, lora=LoraSettings(rank=2, alpha=4, targets=targets))
    unsettle(model)
    changed, whole = dict(merged_weights(model, changed=True)), dict(merged_weights(model))
    assert {name.split(".")[-2] for name in changed} - {"q_norm", "k_norm"} == pushed
    assert all(torch.equal(whole[name], weight) for name, weight in changed.items())
    plain, _ = load_policy(folder)
    stayed = {name: weight for name, weight in merged_weights(plain) if name not in changed}
    assert stayed and all(torch.equal(whole[name], weight) for name, weight in stayed.items())
    assert len(dict(merged_weights(plain, changed=True))) == len(whole)  # all weights are trained: all are pushed


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("empty", "holds no config.json"),
        ("without weights", "holds no weights"),
        ("a file", "is a file"),
        ("not there", "does not exist"),
        ("policies/sft", "is not a folder here"),
    ],
)
def test_a_source_that_is_no_model_is_refused_with_one_line(folder, tmp_path, what, said, monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda self, name, **_: asked.append(name) or 1 / 0)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").write_text("{}")
    shutil.copytree(folder, tmp_path / "without weights", ignore=shutil.ignore_patterns("*.safetensors"))
    source = what if what == "policies/sft" else str(tmp_path / what)
    with pytest.raises(ConfigError, match=said) as raised:
        load_policy(source)
    assert "\n" not in str(raised.value) and source in str(raised.value)
    assert asked == (["policies/sft"] if what == "policies/sft" else [])  # the hub is asked once


def test_what_cannot_be_loaded_is_refused_by_name(folder):
    with pytest.raises(ConfigError, match="has to be converted first"):
        load_policy("packaged")
    _, tokenizer = load_policy(folder)
    tokenizer.eos_token = None
    with pytest.raises(ConfigError, match="no end-of-text token"):
        end_of_text(tokenizer)
