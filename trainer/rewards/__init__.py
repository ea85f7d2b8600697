"""Rewards: scores of sampled texts, and charges of their tokens.

A reward is a `Term`: it scores whole texts in [0, 1] and, where it knows which characters are at fault, charges them. A
run names its terms in the config, `build_terms` makes them, and `Rewards` adds them up. A reward of your own is one
class and one entry of the config: `terms: {"my_module:MyTerm": {weight: 0.3}}`.
"""

from trainer.rewards.base import Charge, FloatArray, Given, MissingInput, Sample, Term, TokenTerm, read
from trainer.rewards.combine import RewardError, Rewards, Scored
from trainer.rewards.registry import build_terms

__all__ = [
    "Charge",
    "FloatArray",
    "Given",
    "MissingInput",
    "RewardError",
    "Rewards",
    "Sample",
    "Scored",
    "Term",
    "TokenTerm",
    "build_terms",
    "read",
]
