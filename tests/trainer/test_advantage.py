"""A text is judged against its group, a token by what it wrote (RELATE eq. 7 to 9)."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.grpo.advantage import sentence_advantages, token_advantages

REWARDS = st.lists(st.lists(st.floats(0, 1, width=32), min_size=5, max_size=5), min_size=1, max_size=4)


@given(rewards=REWARDS)
def test_no_sentence_advantage_of_five_texts_exceeds_1_79(rewards):
    advantages = sentence_advantages(torch.tensor(rewards))
    assert advantages.abs().max() <= 4 / math.sqrt(5) + 1e-4  # (G - 1) / √G: below λ1 = 2, so a risky token never gains


def test_the_one_good_text_of_a_group_reaches_that_bound():
    advantages = sentence_advantages(torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0]]))
    assert advantages[0, 0] == pytest.approx(1.7885, abs=1e-3) and advantages[0, 1] == pytest.approx(-0.4471, abs=1e-3)


@given(reward=st.floats(0, 1, width=32), size=st.integers(2, 9))
def test_a_group_of_equal_rewards_has_no_sentence_signal(reward, size):
    assert not sentence_advantages(torch.full((3, size), reward)).any()


@pytest.mark.parametrize("size", [3, 5, 7])
def test_each_group_of_equal_rewards_has_none_whatever_the_others_got(size):
    rewards = [step / 100 for step in range(101)]  # the mean of many of them is rounded
    assert not sentence_advantages(torch.tensor([[reward] * size for reward in rewards])).any()


@given(rewards=REWARDS, data=st.data())
def test_advantages_sum_to_zero_within_a_group_and_no_group_moves_another(rewards, data):
    before = sentence_advantages(torch.tensor(rewards))
    assert before.sum(dim=1).abs().max() < 1e-3
    changed = data.draw(st.lists(st.floats(0, 1, width=32), min_size=5, max_size=5))
    after = sentence_advantages(torch.tensor([*rewards[:-1], changed]))
    assert torch.equal(after[:-1], before[:-1])


def test_a_token_has_its_sentences_advantage_plus_alpha_times_its_own_reward():
    advantages = token_advantages(
        torch.tensor([1.0, -0.5]), torch.tensor([[0.0, -2.0, -0.5], [0.0, 0.0, -2.0]]), alpha=0.5
    )
    assert advantages.tolist() == [[1.0, 0.0, 0.75], [-0.5, -0.5, -1.5]]
