"""Reinforcement learning of a policy (RELATE §3.4, §4.1): rollout → rewards → credit → advantage → loss → step → sync.

`train.py` is the algorithm and reads top to bottom; `loss.py` and `advantage.py` are its equations, `step.py` the
optimiser step over micro-batches and ranks, `constraints.py` eq. 1, `watch.py` the limits that stop a run, and
`state.py`, `log.py` and `curves.py` the files of a run. `train_grpo` runs it from a config and `Inputs`.
"""

from trainer.grpo.setup import Inputs
from trainer.grpo.state import Outcome
from trainer.grpo.train import Run, train_grpo

__all__ = ["Inputs", "Outcome", "Run", "train_grpo"]
