"""Supervised fine-tuning: references share their prompt's row and lose nothing by it; a killed run goes on; what is
saved writes ads.
"""

import pytest
import torch
from builders import A_SPEC, a_brief, an_ad
from policies import a_policy, byte_level_tokenizer
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from adtext.brief import AdText
from trainer.baselines.sft import IGNORED, collate, texts_loss, train_sft
from trainer.config import ConfigError, LoraSettings, SftConfig, load_config
from trainer.forward.attention import use_shared_prompt_attention
from trainer.forward.ids import Ids
from trainer.policy import completion_ids, load_policy, prompt_ids
from trainer.prompts import Prompt

PROMPT, TEXTS = [5, 9, 4, 7, 11], [[3, 8, 1], [6, 1], [12, 10, 13, 1]]


def separate_loss(model):
    """Σ -log π(text | prompt), each text in a row of its own."""
    total = torch.zeros(())
    for text in TEXTS:
        logits = model(input_ids=torch.tensor([PROMPT + text])).logits[0, len(PROMPT) - 1 : -1]
        total = total + cross_entropy(logits, torch.tensor(text), reduction="sum")
    return total


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_texts_in_one_row_are_learned_as_in_rows_of_their_own(kind):
    model = a_policy(kind)
    separate_loss(model).backward()
    expected = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    use_shared_prompt_attention(model)
    loss = texts_loss(model, [Ids(PROMPT, TEXTS)])
    loss.backward()
    assert loss.item() == pytest.approx(separate_loss(model).item(), rel=1e-5)
    for name, weight in model.named_parameters():
        assert (weight.grad - expected[name]).norm() <= 1e-4 * expected[name].norm() + 1e-7, name


def test_queries_of_one_micro_batch_do_not_see_each_other():
    model = a_policy("llama")
    use_shared_prompt_attention(model)
    shorter = Ids([5, 9], [[3, 1]])
    apart = texts_loss(model, [Ids(PROMPT, TEXTS)]) + texts_loss(model, [shorter])
    assert texts_loss(model, [Ids(PROMPT, TEXTS), shorter]).item() == pytest.approx(apart.item(), rel=1e-5)


def test_every_token_of_the_texts_is_counted_once_and_none_of_the_prompt():
    batch = collate([{"prompt_ids": PROMPT, "texts": TEXTS}])
    labels = batch["labels"][:, 1:]  # the trainer shifts them
    assert labels[labels != IGNORED].tolist() == [token for text in TEXTS for token in text]


# ---- a whole run


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A two-layer model with the packaged tokenizer, as a folder."""
    folder = tmp_path_factory.mktemp("base")
    tokenizer = byte_level_tokenizer()
    torch.manual_seed(0)
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, tie_word_embeddings=True, **shape
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def prompts(number=4):
    briefs = [a_brief(locale="en-US", query=f"running shoes size {size}") for size in range(number)]
    texts = (
        an_ad(locale="en-US"),
        AdText(title="Wide Fit Trainers", description="Shoes for wide feet with 30-day returns."),
    )
    return [Prompt(brief, A_SPEC, texts, "train") for brief in briefs]


def loss_on(folder, prompt):
    model, tokenizer = load_policy(folder)
    use_shared_prompt_attention(model)
    texts = [completion_ids(tokenizer, text, "en") for text in prompt.references]
    with torch.no_grad():
        return texts_loss(model, [Ids(prompt_ids(tokenizer, prompt), texts)]).item() / sum(map(len, texts))


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4, alpha=8)], ids=["all weights", "adapter"])
def test_a_trained_policy_finds_the_references_likelier(base, tmp_path, lora):
    config = SftConfig(lora=lora, epochs=3, batch_size=2, micro_batch=2, learning_rate=3e-2, warmup_steps=0)
    before = loss_on(base, prompts()[0])
    train_sft(str(base), prompts(), config, tmp_path / "sft")
    assert loss_on(tmp_path / "sft", prompts()[0]) < before - 0.1
    assert (tmp_path / "sft" / ("config.json" if lora is None else "adapter_config.json")).is_file()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("batch_size=3", "batch_size 3 must be a multiple of micro_batch 2"),
        ("precision=int4", "precision 'int4' is unknown: use float32 or bfloat16"),
        ("epochs=0", "epochs 0 must be at least 1"),
        ("learning_rate=0", "learning_rate 0 must be greater than 0"),
        ("group_size=5", "group_size: no such setting"),
    ],
)
def test_a_wrong_setting_stops_before_a_model_loads(setting, said):
    with pytest.raises(ConfigError, match=said):
        load_config(SftConfig, None, ["micro_batch=2", setting])


def test_weights_that_all_learn_are_not_bfloat16():
    with pytest.raises(ConfigError, match="round small steps away"):
        load_config(SftConfig, None, ["precision=bfloat16", "lora=null"])
