"""Advantages of texts over their group, and of tokens (RELATE §3.4.2, eq. 7 to 9)."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-4  # ε in eq. 8's denominator, as in TRL; rewards lie in [0, 1]


def sentence_advantages(rewards: Tensor) -> Tensor:
    """A_i = (r_i - mean(r_1 … r_G)) / (std(r_1 … r_G) + ε)     (RELATE eq. 8)

    rewards [B, G]: one row per prompt; returns [B, G]. The standard deviation is the sample standard deviation
    (n - 1), which bounds an advantage by (G - 1)/√G: 1.79 at G = 5. A group of equal rewards gets zeros.
    """
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    spread = rewards.std(dim=1, keepdim=True)
    # the mean is rounded, so that centred need not be zero
    same = rewards.amax(dim=1, keepdim=True) == rewards.amin(dim=1, keepdim=True)
    return torch.where(same, 0.0, centred / (spread + EPSILON))


def token_advantages(sentence: Tensor, token_rewards: Tensor, alpha: float) -> Tensor:
    """A_it = A_i + α · r_it     (RELATE eq. 7, 9)

    sentence [N], token_rewards [N, T] ≤ 0; returns [N, T].
    """
    return sentence[:, None] + alpha * token_rewards
