"""A policy trained from random weights on the reference ads: a million weights and its own vocabulary. For experiments
on a CPU, not for serving.

    python -m trainer.small_policy OUT

OUT/policy is the model, OUT/advertisers.jsonl the prompts it knows: the packaged ones without landing pages, which
halves them. What the references took from a landing page is then grounded in nothing, so the policy starts with faults
that a reward can teach it to leave.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from adtext.prompt import render, write
from trainer.baselines.sft import train_sft
from trainer.config import SftConfig
from trainer.prompts import ADVERTISERS, Prompt, load_prompts

_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CONFIG = SftConfig(lora=None, epochs=6, batch_size=8, micro_batch=8, learning_rate=3e-3, warmup_steps=10)


def make_small_policy(out: Path, *, width: int = 128, layers: int = 4, vocabulary: int = 3000, seed: int = 0) -> Path:
    """Write the shortened prompts, a tokenizer learned from them and random weights; train those; returns the model's
    folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = out / "advertisers.jsonl"
    file.write_text("".join(_without_landing_pages(sorted(ADVERTISERS.glob("en_*.jsonl")))), encoding="utf-8")
    prompts = load_prompts(file, split="train")
    tokenizer = learn_tokenizer(prompts, vocabulary)
    torch.manual_seed(seed)
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=width // 4,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        max_position_embeddings=2048,
    )
    start = out / "start"
    model: Any = LlamaForCausalLM(shape)  # type: ignore[no-untyped-call]
    model.save_pretrained(start)
    tokenizer.save_pretrained(start)
    return train_sft(str(start), prompts, _CONFIG, out / "policy")


def learn_tokenizer(prompts: Sequence[Prompt], vocabulary: int) -> Any:
    """Byte-level BPE, with a chat template, of the prompts' and references' own words."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    words = [message["content"] for prompt in prompts for message in render(prompt.brief, prompt.spec)]
    words += [write(text, prompt.brief.language) for prompt in prompts for text in prompt.references]
    trainer = BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(words, trainer)
    end = "<|im_end|>"
    wrapper: Any = PreTrainedTokenizerFast
    fast: Any = wrapper(tokenizer_object=tokenizer, eos_token=end, pad_token=end)
    fast.chat_template = _CHAT
    return fast


def _without_landing_pages(files: Sequence[Path]) -> Iterator[str]:
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            advertiser = json.loads(line)
            advertiser["ad"]["landing_page"] = ""
            yield json.dumps(advertiser) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m trainer.small_policy", description="Train a small policy from nothing."
    )
    parser.add_argument("out", type=Path)
    print(make_small_policy(parser.parse_args().out))
