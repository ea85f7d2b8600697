"""One row for a group gives what a row for every text gives: the same log-probabilities, the same gradient."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.trainer.policies import VOCABULARY, a_policy, distance, gradients, some_groups
from trainer.forward.attention import use_shared_prompt_attention
from trainer.forward.ids import Ids
from trainer.forward.layout import completion_logprobs, pack
from trainer.forward.logprobs import selected_logprobs

UNEQUAL = ((7, (3, 5, 1, 4)), (4, (2, 6)), (11, (8, 8, 8)))


def one_row_per_text(model: Any, groups: list[Ids]) -> list[Tensor]:
    """log π of each text's tokens, the plain way: the prompt and the text alone in a row."""
    found = []
    for prompt, completions in groups:
        for completion in completions:
            logits = model(torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
            found.append(logits.log_softmax(dim=-1).gather(1, torch.tensor(completion)[:, None])[:, 0])
    return found


def some_weights(groups: list[Ids]) -> list[Tensor]:
    chance = torch.Generator().manual_seed(3)
    return [torch.randn(len(completion), generator=chance) for group in groups for completion in group.completions]


def with_gradients(model: Any, texts: list[Tensor], groups: list[Ids]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """The log-probabilities, and the gradient of a random linear function of them."""
    model.zero_grad()
    torch.stack(
        [(logp * weight).sum() for logp, weight in zip(texts, some_weights(groups), strict=True)]
    ).sum().backward()
    return [logp.detach() for logp in texts], gradients(model)


def unpadded(model: Any, groups: list[Ids], *, shared: bool = True) -> list[Tensor]:
    scored = completion_logprobs(model, pack(groups, shared=shared))
    return [logp[mask] for logp, mask in zip(scored.logp, scored.mask, strict=True)]


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
@pytest.mark.parametrize("training", ["full", "lora", "checkpointing", "lora and checkpointing"])
@pytest.mark.parametrize("attention", ["mask", "blocks"])
def test_shared_prompts_and_separate_ones_have_the_same_gradient(kind, training, attention):
    groups, model = some_groups(UNEQUAL), a_policy(kind, lora="lora" in training)
    model.train()
    if "checkpointing" in training:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    expected, wanted = with_gradients(model, one_row_per_text(model, groups), groups)
    if attention == "blocks":  # otherwise plain SDPA reads the dense mask
        use_shared_prompt_attention(model)

    for shared in (True, False):
        found, got = with_gradients(model, unpadded(model, groups, shared=shared), groups)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
        assert got.keys() == wanted.keys()
        assert max(distance(got[name], wanted[name]) for name in wanted) <= 1e-4


@settings(max_examples=15)
@given(
    shape=st.lists(
        st.tuples(st.integers(1, 6), st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple)),
        min_size=1,
        max_size=3,
    )
)
def test_any_groups_fit_a_row_even_with_empty_texts(shape):
    groups, model = some_groups(tuple(shape)), a_policy()
    use_shared_prompt_attention(model)
    with torch.no_grad():
        for ours, theirs in zip(unpadded(model, groups), one_row_per_text(model, groups), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_no_text_sees_another_text_or_another_group():
    groups, model = some_groups(UNEQUAL), a_policy()
    use_shared_prompt_attention(model)
    changed = [
        groups[0]._replace(completions=[*groups[0].completions[:3], [50, 51, 52, 53]]),
        groups[1],
        some_groups(((11, (8, 8, 8)),), seed=9)[0],
    ]
    before, after = (completion_logprobs(model, pack(batch)).logp for batch in (groups, changed))
    same = [0, 1, 2, 4, 5]
    torch.testing.assert_close(after[same], before[same], rtol=0, atol=1e-6)
    assert not torch.allclose(after[3], before[3]) and not torch.allclose(after[6:], before[6:])


def test_a_row_holds_a_prompt_once_and_asks_for_few_logits():
    layout = pack(some_groups(((60, (48,) * 5),)))
    assert layout.ids.shape == (1, 60 + 5 * 48)  # P + G·R, not G·(P + R)
    assert len(layout.predictors) == 1 + 5 * 47  # first tokens share the prompt's last position
    assert pack(some_groups(((60, (48,) * 5),)), shared=False).ids.shape == (1, 5 * (60 + 48))


def test_the_entropy_is_that_of_the_whole_distribution():
    groups, model = some_groups(((5, (4,)),)), a_policy()
    scored = completion_logprobs(model, pack(groups))
    logits = model(torch.tensor([[*groups[0].prompt, *groups[0].completions[0]]])).logits[0, 4:-1]
    torch.testing.assert_close(
        scored.entropy[0], torch.distributions.Categorical(logits=logits).entropy(), rtol=1e-4, atol=1e-5
    )
    assert not scored.entropy.requires_grad


def test_a_prompt_without_tokens_is_refused():
    with pytest.raises(ValueError, match="group 1 has an empty prompt"):
        pack([*some_groups(((3, (2,)),)), Ids([], [[5, 6]])])


@pytest.mark.parametrize("attention", ["flash_attention_2", "eager"])
def test_an_attention_that_cannot_read_the_mask_is_refused_by_name(attention):
    model = a_policy()
    model.config._attn_implementation_internal = attention  # setting it properly would need a GPU
    with pytest.raises(ValueError, match=f"'{attention}' cannot read the mask"):
        completion_logprobs(model, pack(some_groups(UNEQUAL)))


def test_a_sliding_window_shorter_than_a_text_is_refused():
    model = a_policy()
    model.config.sliding_window = 18
    with pytest.raises(ValueError, match="sliding window of 18 is shorter than a text of 19 tokens"):
        completion_logprobs(model, pack(some_groups(UNEQUAL)))


def test_a_sliding_window_that_the_model_does_not_use_is_none():
    model = a_policy()
    expected = completion_logprobs(model, pack(some_groups(UNEQUAL))).logp
    model.config.sliding_window, model.config.use_sliding_window = 18, False
    assert torch.equal(completion_logprobs(model, pack(some_groups(UNEQUAL))).logp, expected)


def test_a_model_that_an_engine_wrapped_is_held_to_its_own_attention():
    model = a_policy()
    model.config._attn_implementation = "eager"
    with pytest.raises(ValueError, match="attention 'eager' cannot read the mask"):
        completion_logprobs(SimpleNamespace(module=model), pack(some_groups()))


def test_a_policy_with_shared_prompt_attention_still_generates_the_same():
    model, prompt = a_policy(), torch.tensor([[5, 6, 7], [0, 8, 9]])
    arguments: dict[str, Any] = {"attention_mask": (prompt > 0).long(), "max_new_tokens": 6, "do_sample": False}
    before = model.generate(prompt, **arguments)
    use_shared_prompt_attention(model)
    assert torch.equal(model.generate(prompt, **arguments), before)


@given(
    seed=st.integers(0, 99),
    temperature=st.sampled_from([1.0, 0.7, 2.0]),
    rows=st.lists(st.integers(0, 3), min_size=1, max_size=6),
)
def test_chosen_log_probabilities_are_log_softmax_with_its_gradient(seed, temperature, rows):
    chance = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(4, VOCABULARY, generator=chance)).requires_grad_()
    at, ids = torch.tensor(rows), torch.randint(0, VOCABULARY, (len(rows),), generator=chance)
    weights = torch.randn(len(rows), generator=chance)

    logp, _ = selected_logprobs(logits, at, ids, temperature)
    (ours,) = torch.autograd.grad((logp * weights).sum(), logits)
    literal = (logits / temperature).log_softmax(dim=-1)[at, ids]
    (theirs,) = torch.autograd.grad((literal * weights).sum(), logits)

    torch.testing.assert_close(logp, literal, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_half_precision_logits_lose_only_their_own_rounding():
    logits = torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(1)).bfloat16().requires_grad_()
    rows, ids = torch.arange(3), torch.tensor([4, 5, 6])
    logp, _ = selected_logprobs(logits, rows, ids)
    exact = logits.detach().float().requires_grad_()
    literal = exact.log_softmax(dim=-1)[rows, ids]
    torch.testing.assert_close(logp, literal, rtol=1e-6, atol=1e-6)
    (ours,), (theirs,) = torch.autograd.grad(logp.sum(), logits), torch.autograd.grad(literal.sum(), exact)
    torch.testing.assert_close(ours.float(), theirs, rtol=2**-8, atol=1e-8)
