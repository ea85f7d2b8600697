"""Qwen3 as it is published, but for its weights: the real tokenizer and chat template, two random layers."""

from __future__ import annotations

import gzip
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

DATA = Path(os.environ.get("RELATE_DATA", "")) / "qwen3_tokenizer"
needs_qwen3 = pytest.mark.skipif(
    not (DATA / "tokenizer.json.gz").is_file(), reason="RELATE_DATA does not name the folder that holds qwen3_tokenizer"
)


@cache
def qwen3_tokenizer() -> Any:
    folder = Path(mkdtemp(prefix="relate-qwen3-tokenizer-"))
    try:
        with gzip.open(DATA / "tokenizer.json.gz") as packed, (folder / "tokenizer.json").open("wb") as plain:
            shutil.copyfileobj(packed, plain)
        shutil.copy(DATA / "tokenizer_config.json", folder)
        return AutoTokenizer.from_pretrained(folder)
    finally:
        shutil.rmtree(folder)


def save_qwen3(folder: Path, *, width: int = 32, head: int = 16) -> Path:
    """A model's folder with two random layers and Qwen3's own generation config."""
    tokenizer = qwen3_tokenizer()
    torch.manual_seed(0)
    shape = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=head, tie_word_embeddings=True,
        max_position_embeddings=4096, bos_token_id=151643, eos_token_id=151645,
    )  # fmt: skip
    model: Any = Qwen3ForCausalLM(shape)
    # as Qwen/Qwen3-8B declares it: a text ends at <|im_end|> or at <|endoftext|>, and sampling is not the policy's own
    model.generation_config.update(
        eos_token_id=[151645, 151643], pad_token_id=151643, do_sample=True, temperature=0.6, top_k=20, top_p=0.95
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
