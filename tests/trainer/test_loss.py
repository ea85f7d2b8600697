"""The loss is minus RELATE's eq. 6 with the advantages of eq. 5, 7, 8 and 9, written here once more, one token at a
time.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.grpo.advantage import sentence_advantages, token_advantages
from trainer.grpo.loss import LossInputs, grpo_loss

LENGTHS = (4, 2, 5, 1, 3)
LONGEST = 6  # R_max
MASK = torch.arange(5) < torch.tensor(LENGTHS)[:, None]
PLAIN = {"clip_low": 0.2, "clip_high": 0.2, "beta": 0.02, "aggregation": "sum", "max_completion": LONGEST}


def literal_loss(logp, old_logp, ref_logp, rewards, risky, frequent, *, alpha, lambda1, lambda2, beta, low, high):
    """One group of G texts. logp, old_logp, ref_logp, risky, frequent: G lists of a value per token; rewards: G
    numbers.
    """
    size = len(rewards)
    mean = sum(rewards) / size
    std = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / (size - 1))
    total = 0.0
    for i in range(size):
        sentence = (rewards[i] - mean) / (std + 1e-4)  # eq. 8
        for t in range(len(logp[i])):
            reward = -lambda1 * risky[i][t] - lambda2 * frequent[i][t]  # eq. 5
            advantage = sentence + alpha * reward  # eq. 7, 9
            ratio = math.exp(logp[i][t] - old_logp[i][t])
            clipped = min(max(ratio, 1 - low), 1 + high)
            gap = ref_logp[i][t] - logp[i][t]
            kl = math.exp(gap) - gap - 1
            total += min(ratio * advantage, clipped * advantage) - beta * kl  # eq. 6
    return -total / size / LONGEST  # the paper's 1/G · Σ_t, over the longest length


def a_batch(seed, spread=0.4):
    """logp, old_logp, ref_logp as [G, T] with garbage in the padding, rewards [G], and two 0/1 marks [G, T]."""
    chance = torch.Generator().manual_seed(seed)
    logp = -3 * torch.rand(5, 5, generator=chance)
    old, ref = (logp + spread * torch.randn(5, 5, generator=chance) for _ in range(2))
    rewards = torch.rand(5, generator=chance)
    risky, frequent = ((torch.rand(5, 5, generator=chance) < 0.3).float() for _ in range(2))
    return logp, old, ref, rewards, risky, frequent


def ragged(values):
    return [row[:length].tolist() for row, length in zip(values, LENGTHS, strict=True)]


@given(seed=st.integers(0, 500), alpha=st.floats(0, 2), beta=st.sampled_from([0.0, 0.02, 0.5]))
def test_the_loss_is_the_papers_equations(seed, alpha, beta):
    logp, old, ref, rewards, risky, frequent = a_batch(seed)
    advantages = token_advantages(sentence_advantages(rewards[None])[0], -2.0 * risky - 0.5 * frequent, alpha)
    loss, _ = grpo_loss(LossInputs(logp, old, ref, advantages, MASK), **(PLAIN | {"beta": beta, "clip_high": 0.3}))
    expected = literal_loss(
        ragged(logp), ragged(old), ragged(ref), rewards.tolist(), ragged(risky), ragged(frequent),
        alpha=alpha, lambda1=2.0, lambda2=0.5, beta=beta, low=0.2, high=0.3,
    )  # fmt: skip
    assert float(loss) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(seed=st.integers(0, 500), text=st.integers(0, 4), data=st.data())
def test_one_charged_token_changes_exactly_its_own_loss_term(seed, text, data):
    token = data.draw(st.integers(0, LENGTHS[text] - 1))
    logp, old, ref, rewards, *_ = a_batch(seed, spread=0.02)  # within the clip: every token has a gradient
    logp.requires_grad_()
    sentence = sentence_advantages(rewards[None])[0]
    charges = torch.zeros(5, 5)
    charges[text, token] = -2.0

    def terms(charged):
        loss, _ = grpo_loss(LossInputs(logp, old, ref, token_advantages(sentence, charged, 1.0), MASK), **PLAIN)
        (gradient,) = torch.autograd.grad(loss, logp)
        return float(loss.detach()), gradient

    (before, plain), (after, charged) = terms(torch.zeros(5, 5)), terms(charges)
    ratio = float(torch.exp(logp.detach() - old)[text, token])
    changed = (plain != charged).nonzero().tolist()
    assert changed == [[text, token]]
    # less likely by descent
    assert charged[text, token] - plain[text, token] == pytest.approx(2.0 * ratio / (5 * LONGEST), rel=1e-3)
    assert after - before == pytest.approx(2.0 * ratio / (5 * LONGEST), rel=1e-2, abs=1e-6)


def test_a_group_of_equal_rewards_still_moves_its_charged_tokens():
    logp = torch.full((5, 5), -1.0, requires_grad=True)
    charges = torch.zeros(5, 5)
    charges[2, 1] = -2.0
    advantages = token_advantages(sentence_advantages(torch.full((1, 5), 0.7))[0], charges, 1.0)
    loss, _ = grpo_loss(LossInputs(logp, logp.detach(), None, advantages, MASK), **(PLAIN | {"beta": 0.0}))
    loss.backward()
    assert logp.grad.nonzero().tolist() == [[2, 1]] and logp.grad[2, 1] > 0


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves", "low", "high"),
    [
        (1.0, 1.0, True, 0, 0),
        (1.5, 1.0, False, 0, 1),  # already more likely, and good: no further
        (1.5, -1.0, True, 0, 0),
        (0.5, -1.0, False, 1, 0),  # already less likely, and bad
        (0.5, 1.0, True, 0, 0),
        (0.5, 0.5, True, 0, 0),
        (1.1, -1.0, True, 0, 0),  # inside the clip
        (0.9, 1.0, True, 0, 0),
        (0.5, 0.0, False, 0, 0),  # neither good nor bad: nothing to clip
        (1.5, 0.0, False, 0, 0),
    ],
)
def test_the_clip_takes_the_gradient_of_what_has_moved_far_enough(ratio, advantage, moves, low, high):
    logp = torch.tensor([[math.log(ratio)]], requires_grad=True)
    mask = torch.ones(1, 1, dtype=torch.bool)
    loss, watched = grpo_loss(
        LossInputs(logp, torch.zeros(1, 1), None, torch.full((1, 1), advantage), mask), **(PLAIN | {"beta": 0.0})
    )
    loss.backward()
    assert bool(logp.grad.any()) is moves
    assert (int(watched.clipped_low), int(watched.clipped_high), int(watched.tokens)) == (low, high, 1)
    assert float(watched.ratio) == pytest.approx(ratio)


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_a_ratio_at_the_border_of_the_clip_is_not_clipped(advantage):
    tokens = [torch.zeros(1, 1)] * 2
    inputs = LossInputs(*tokens, None, torch.full((1, 1), advantage), torch.ones(1, 1, dtype=torch.bool))
    _, watched = grpo_loss(inputs, **(PLAIN | {"beta": 0.0, "clip_low": 0.0, "clip_high": 0.0}))
    assert (int(watched.clipped_low), int(watched.clipped_high)) == (0, 0)


@pytest.mark.parametrize(
    ("aggregation", "weights"), [("sum", [1 / 12, 1 / 12]), ("sequence", [1 / 6, 1 / 2]), ("token", [1 / 4, 1 / 4])]
)
def test_what_a_token_weighs_in_a_long_and_in_a_short_text(aggregation, weights):
    logp = torch.zeros(2, 3, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    settings = PLAIN | {"beta": 0.0, "aggregation": aggregation}
    loss, _ = grpo_loss(LossInputs(logp, torch.zeros(2, 3), None, -torch.ones(2, 3), mask), **settings)
    loss.backward()
    assert [float(logp.grad[0, 0]), float(logp.grad[1, 0])] == pytest.approx(weights)
    assert not logp.grad[1, 1:].any()


@pytest.mark.parametrize("aggregation", ["sum", "sequence", "token"])
def test_an_empty_text_adds_nothing(aggregation):
    logp = torch.zeros(2, 3, requires_grad=True)
    mask = torch.tensor([[True, True, True], [False, False, False]])
    loss, watched = grpo_loss(
        LossInputs(logp, torch.zeros(2, 3), None, torch.ones(2, 3), mask),
        **(PLAIN | {"beta": 0.0, "aggregation": aggregation}),
    )
    loss.backward()
    assert torch.isfinite(loss) and not logp.grad[1].any() and int(watched.tokens) == 3


@given(seed=st.integers(0, 500))
def test_the_kl_estimate_is_never_negative_and_zero_at_the_reference(seed):
    logp, old, ref, rewards, *_ = a_batch(seed)
    advantages = sentence_advantages(rewards[None])[0][:, None].expand(5, 5)
    _, apart = grpo_loss(LossInputs(logp, old, ref, advantages, MASK), **PLAIN)
    _, at = grpo_loss(LossInputs(logp, old, logp, advantages, MASK), **PLAIN)
    assert float(apart.kl) > 0 and float(at.kl) == 0


@pytest.mark.parametrize(("weighted_kl", "loss"), [(False, 0.1 * 0.1931), (True, 0.1 * 0.3863)])
def test_the_kl_is_weighted_by_the_ratio_where_that_is_asked(weighted_kl, loss):
    logp, old, ref = (torch.full((1, 1), math.log(p)) for p in (0.5, 0.25, 0.25))  # ρ = 2, k3 = 1/2 - ln(1/2) - 1
    inputs = LossInputs(logp, old, ref, torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool))
    settings = PLAIN | {"beta": 0.1, "aggregation": "token", "weighted_kl": weighted_kl}
    assert float(grpo_loss(inputs, **settings)[0]) == pytest.approx(loss, abs=1e-5)


def test_an_unknown_aggregation_is_refused_by_name():
    tokens = [torch.zeros(1, 1)] * 4
    with pytest.raises(ValueError, match="aggregation 'mean' is unknown: use sum, sequence or token"):
        grpo_loss(LossInputs(*tokens, torch.ones(1, 1, dtype=torch.bool)), **(PLAIN | {"aggregation": "mean"}))


def test_a_kl_term_without_a_reference_is_refused():
    with pytest.raises(ValueError, match=r"beta 0\.02 needs the reference"):
        grpo_loss(
            LossInputs(*[torch.zeros(1, 1)] * 2, None, torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool)), **PLAIN
        )
