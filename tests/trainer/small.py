"""A policy small enough to learn in seconds: its own byte-level vocabulary, two layers, random weights, saved as a
folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from adtext.brief import Ad, AdBrief, AdText
from adtext.prompt import render, write
from adtext.spec import load_spec
from trainer.forward.attention import use_shared_prompt_attention
from trainer.forward.ids import Ids
from trainer.forward.layout import completion_logprobs, pack
from trainer.policy import completion_ids, load_policy, prompt_ids, save_policy
from trainer.prompts import Prompt

_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_GOODS = (
    ("wool socks", "Tarn Mill"),
    ("oak shelves", "Birch Lane"),
    ("rain coats", "Harbour Coats"),
    ("tea cups", "Clay Row"),
    ("bike bells", "Ring Road"),
    ("linen sheets", "Blue Flax"),
)
_CHINESE = (("羊毛袜", "青禾家纺"), ("橡木书架", "白桦木作"), ("雨衣", "港湾雨具"), ("茶杯", "陶里茶器"))


def small_prompts(language: str = "en") -> list[Prompt]:
    """One query of each of a few invented advertisers, with two reference texts."""
    if language == "zh":
        return [_prompt(goods, shop, "zh-CN", _chinese_ads(goods, shop)) for goods, shop in _CHINESE]
    return [_prompt(goods, shop, "en-US", _english_ads(goods, shop)) for goods, shop in _GOODS]


def _english_ads(goods: str, shop: str) -> tuple[AdText, ...]:
    return (
        AdText(
            title=f"{goods.title()} by {shop}",
            description=f"{shop} makes {goods} by hand. See the {goods} in our shop.",
        ),
        AdText(
            title=f"Buy {goods.title()}", description=f"Find {goods} that last for years at {shop}, made with care."
        ),
    )


def _chinese_ads(goods: str, shop: str) -> tuple[AdText, ...]:
    return (
        AdText(
            title=f"{shop}手工{goods}，用料扎实",
            description=f"{shop}专注{goods}，手工制作，细节用心，欢迎到店看看实物。",
        ),
        AdText(
            title=f"选{goods}就看{shop}新品", description=f"{goods}新品上架，{shop}手工制作，耐用好看，送礼自用都合适。"
        ),
    )


def _prompt(goods: str, shop: str, locale: Any, references: tuple[AdText, ...]) -> Prompt:
    ad = Ad(
        id=f"ad-{shop.encode().hex()[:12]}",
        advertiser=shop,
        business=goods,
        selling_points=(),
        landing_page="",
        industry="home",
    )
    brief = AdBrief(query=goods, bidwords=(goods,), ad=ad, locale=locale)
    return Prompt(brief, load_spec("google_rsa" if locale == "en-US" else "baidu_search"), references, "train")


def save_prompts(file: Path, prompts: list[Prompt], split: str = "train") -> Path:
    """The prompts as an advertiser file."""
    with file.open("a", encoding="utf-8") as lines:
        for prompt in prompts:
            brief = prompt.brief
            query = {
                "query": brief.query,
                "bidwords": list(brief.bidwords),
                "references": [text.model_dump(exclude_none=True) for text in prompt.references],
            }
            advertiser = {
                "ad": brief.ad.model_dump(mode="json"),
                "locale": brief.locale,
                "platform": prompt.spec.name,
                "split": split,
                "queries": [query],
            }
            lines.write(json.dumps(advertiser) + "\n")
    return file


def small_tokenizer(prompts: list[Prompt], vocabulary: int = 900) -> Any:
    """Byte-level BPE with a chat template, learned from the prompts' own words."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    words = [message["content"] for prompt in prompts for message in render(prompt.brief, prompt.spec)]
    words += [write(text, prompt.brief.language) for prompt in prompts for text in prompt.references]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(words, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>")
    fast.chat_template = _CHAT
    return fast


def save_small_policy(
    folder: Path, prompts: list[Prompt], *, kind: str = "llama", width: int = 32, head: int = 0, seed: int = 0
) -> Path:
    """Random weights: a Llama or a Qwen3 of two layers."""
    tokenizer = small_tokenizer(prompts)
    torch.manual_seed(seed)
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": head or width // 4,
        "tie_word_embeddings": True,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "max_position_embeddings": 2048,
    }
    model: Any = LlamaForCausalLM(LlamaConfig(**shape)) if kind == "llama" else Qwen3ForCausalLM(Qwen3Config(**shape))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def teach(folder: Path, texts: dict[Prompt, tuple[AdText, ...]], *, steps: int, learning_rate: float = 1e-2) -> Path:
    """Fine-tune a saved policy on these texts, all of them at every step, and save it again."""
    model, tokenizer = load_policy(folder)
    groups = [
        Ids(prompt_ids(tokenizer, prompt), [completion_ids(tokenizer, text, prompt.brief.language) for text in own])
        for prompt, own in texts.items()
    ]
    use_shared_prompt_attention(model)
    layout = pack(groups)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (1 - step / steps)
        optimizer.zero_grad()
        scored = completion_logprobs(model, layout)
        (-scored.logp.sum() / scored.mask.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    save_policy(model, tokenizer, folder)
    return folder
