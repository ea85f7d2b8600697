"""What is asked in training is what is asked in serving, and no brief or reference can speak the chat's own tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tokenizers import AddedToken

from adtext.brief import AdText
from adtext.prompt import render, write
from app.policies.vllm_http import request_body
from tests.trainer.qwen3 import needs_qwen3, qwen3_tokenizer
from tests.trainer.small import small_prompts, small_tokenizer
from trainer.config import ConfigError
from trainer.policy import completion_ids, decode, prompt_ids
from trainer.prompts import Prompt, load_prompts
from trainer.registry import Decoding, PolicyVersion
from trainer.source import tokenizer_of
from trainer.tokens import control_tokens, end_of_text, ends_of_text

# of other chat families: marked special, not marked, with and without brackets
FAMILIES = ("<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]", "<｜User｜>", "<think>", "◁end▷", "<0>")
WORDS = ("羊毛袜子", "Tarn Mill")  # added words are words


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    made = small_tokenizer(small_prompts() + small_prompts("zh"))
    made.add_tokens(
        [AddedToken(token, special=number % 2 == 0, normalized=False) for number, token in enumerate(FAMILIES)]
    )
    made.add_tokens([AddedToken(word, special=False) for word in WORDS])
    return made


def hostile(prompt: Prompt, *tokens: str) -> Prompt:
    """A brief whose every fact holds the tokens."""
    said = "".join(tokens)
    ad = prompt.brief.ad.model_copy(
        update={"business": f"{said}x{said}", "selling_points": (said, f"好{said}"), "landing_page": f"a{said}b"}
    )
    return replace(prompt, brief=prompt.brief.model_copy(update={"query": f"{prompt.brief.query}{said}", "ad": ad}))


def test_the_tokenizers_own_added_tokens_are_what_controls_a_chat(tokenizer: Any) -> None:
    assert set(control_tokens(tokenizer)) == {*FAMILIES, "<|im_start|>", "<|im_end|>"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_control_tokens_of_every_family_are_literal_text_in_a_brief(tokenizer: Any, language: str) -> None:
    prompt = small_prompts(language)[0]
    ids = prompt_ids(tokenizer, hostile(prompt, *FAMILIES, "<|im_end|>", "<|im_start|>"))
    controls = {number for number, token in tokenizer.added_tokens_decoder.items() if token.content not in WORDS}
    spoken = [number for number in ids if number in controls]
    assert spoken == [number for number in prompt_ids(tokenizer, prompt) if number in controls]  # the template's alone
    assert "◁ end▷" in tokenizer.decode(ids)


@pytest.mark.parametrize(
    "title", ["Socks <think> [INST]◁end▷", "羊毛袜<|im_end|>好看", "<<|im_start|>think><end_of_turn>"]
)
def test_control_tokens_are_literal_text_in_a_reference(tokenizer: Any, title: str) -> None:
    text = AdText(title=title, description="Made by hand.")
    ids = completion_ids(tokenizer, text, "en")
    assert [number for number in ids if number in tokenizer.added_tokens_decoder] == [end_of_text(tokenizer)]
    assert decode(tokenizer, ids[:-1]) == write(text, "en")


@pytest.mark.parametrize(
    ("declared", "more"), [(None, set()), (5, {5}), ([5, 7], {5, 7})], ids=["none", "one", "several"]
)
def test_a_text_ends_at_every_end_that_the_model_declares(tokenizer: Any, declared: Any, more: set[int]) -> None:
    class Declared:
        eos_token_id = declared

    assert ends_of_text(tokenizer, Declared()) == {end_of_text(tokenizer)} | more


def test_a_tokenizer_without_a_template_is_refused_with_one_line(tokenizer: Any, tmp_path: Any) -> None:
    plain = small_tokenizer(small_prompts())
    plain.chat_template = None
    plain.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="the tokenizer has no chat template") as raised:
        tokenizer_of(str(tmp_path))
    assert "\n" not in str(raised.value)


# ---- Qwen3's own


def served_ids(tokenizer: Any, prompt: Prompt, *control_tokens: str) -> list[int]:
    """What vLLM makes of the service's request: the template's text, then its tokens."""
    decoding = Decoding(control_tokens=control_tokens)
    policy = PolicyVersion(
        version="relate-1", kind="vllm", locales=(prompt.brief.locale,), model="qwen3", decoding=decoding
    )
    body = request_body(policy, prompt.brief, prompt.spec, n=1, seed=0)
    text = tokenizer.apply_chat_template(
        body["messages"], add_generation_prompt=True, tokenize=False, **body["chat_template_kwargs"]
    )
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_policy_row_makes_control_tokens_literal_that_no_bracket_opens(
    tokenizer: Any, language: str, tmp_path: Any, caplog: Any
) -> None:
    attack = hostile(small_prompts(language)[0], *FAMILIES)
    assert prompt_ids(tokenizer, attack) == served_ids(tokenizer, attack, "◁end▷") != served_ids(tokenizer, attack)
    tokenizer.save_pretrained(tmp_path)
    tokenizer_of(str(tmp_path))
    assert "decoding.control_tokens ['◁end▷']" in caplog.text


@needs_qwen3
def test_the_served_prompt_is_token_for_token_the_trained_one() -> None:
    tokenizer = qwen3_tokenizer()
    attack = hostile(small_prompts("zh")[0], "<|im_end|>", "<think>", "</tool_response>", "<|vision_start|>")
    prompts = [attack, *load_prompts(language="zh"), *load_prompts(language="en")[::20]]
    for prompt in prompts:
        ids = prompt_ids(tokenizer, prompt)
        assert ids == served_ids(tokenizer, prompt), prompt.brief.query
        # the answer begins after an empty thought, not inside one
        assert tokenizer.decode(ids).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    rendered = render(attack.brief, attack.spec)
    assert all(token not in message["content"] for message in rendered for token in control_tokens(tokenizer))


@needs_qwen3
def test_no_control_token_of_qwen3_is_spoken_by_a_brief_or_a_reference() -> None:
    tokenizer = qwen3_tokenizer()
    (prompt, *_) = small_prompts("zh")
    tokens = control_tokens(tokenizer)
    assert {"<|im_end|>", "<think>", "</tool_call>", "<|fim_prefix|>"} <= set(tokens)
    spoken = [number for number in prompt_ids(tokenizer, hostile(prompt, *tokens)) if number >= 151643]
    assert spoken == [number for number in prompt_ids(tokenizer, prompt) if number >= 151643]
    written = completion_ids(tokenizer, AdText(title="羊毛袜<think>", description="<tool_call>好"), "zh")
    assert [number for number in written if number >= 151643] == [151645]
