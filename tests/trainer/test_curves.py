"""What a step leaves to look at, and where a run goes back to when a limit breaks."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.trainer.runs import a_run_config
from tests.trainer.samples import GOOD, a_prompt, a_sample
from trainer.config import ConfigError, Limits
from trainer.grpo.constraints import Candidate
from trainer.grpo.curves import StepRecord, curve_of, vitals_of
from trainer.grpo.state import RunState
from trainer.grpo.step import StepReport
from trainer.rewards import Scored
from trainer.rollout.base import Completion, Group

REPORT = StepReport(
    loss=0.1, grad_norm=1.0, kl=0.02, entropy=2.0, clipped_low=0.1, clipped_high=0.2, ratio=1.0, tokens=12, empty=0
)
ALONE = SimpleNamespace(gather=lambda items: items)


def a_step(advantages, ctcvr=(0.9, 0.7, 0.7, 0.7), held_out=(0.4, 0.4, 0.4, 0.4)) -> StepRecord:
    """Two groups of two texts of three tokens."""
    texts = tuple(Completion((1, 2, 3), "", finished, None) for finished in (True, False))
    groups = [Group(a_prompt(), (7,), texts) for _ in range(2)]
    terms = {"ctcvr": np.array(ctcvr)}
    scored = Scored(np.array(ctcvr), ((),) * 4, terms, None if held_out is None else np.array(held_out))
    samples = [a_sample(GOOD), a_sample(GOOD), a_sample("nothing"), a_sample(GOOD)]
    advantages = torch.tensor(advantages)[:, None].expand(4, 3)
    return StepRecord(groups, samples, scored, torch.zeros(4, 3), advantages[:, 0], advantages, REPORT, None, {})


@pytest.mark.parametrize(
    ("advantages", "share"),
    [([0.0, 0.0, 1.0, -1.0], 0.5), ([0.0, 0.0, 0.0, 0.0], 1.0), ([1.0, -1.0, 0.0, 0.5], 0.0)],
)
def test_the_zero_signal_share_counts_groups_that_nothing_is_learned_from(advantages, share):
    assert curve_of(3, a_step(advantages), {}, 1e-4, ALONE)["zero_signal_share"] == share


def test_the_gap_is_how_far_the_training_reward_model_is_ahead_of_the_held_out_one():
    curve = curve_of(3, a_step([0.0] * 4), {}, 1e-4, ALONE)
    assert curve["gap"] == pytest.approx(0.75 - 0.4)  # positive where the training model is ahead: hacking
    assert vitals_of(curve, group_size=2).gap == curve["gap"]
    assert curve_of(3, a_step([0.0] * 4, held_out=None), {}, 1e-4, ALONE)["gap"] is None


def test_the_judges_gap_is_the_mean_over_truth_and_fluency():
    step = a_step([0.0] * 4)
    own = {"truth": np.full(4, 0.8), "fluency": np.full(4, 0.6)}
    second = {"truth": np.full(4, 0.5), "fluency": np.full(4, 0.5)}
    judged = replace(step, scored=replace(step.scored, terms=step.scored.terms | own, second_judge=second))
    curve = curve_of(3, judged, {}, 1e-4, ALONE)
    assert curve["judge_gap"] == pytest.approx((0.3 + 0.1) / 2) and curve["second_judge"]["truth"] == 0.5
    vitals = vitals_of(curve, group_size=2)
    assert (vitals.judge_gap, vitals.truth, vitals.fluency) == (curve["judge_gap"], 0.8, 0.6)
    unjudged = vitals_of(curve_of(3, step, {}, 1e-4, ALONE), group_size=2)
    assert (unjudged.judge_gap, unjudged.truth, unjudged.fluency) == (None, None, None)


def test_a_curve_holds_the_means_of_the_texts():
    curve = curve_of(3, a_step([0.0] * 4), {"ctcvr": 0.1}, 1e-4, ALONE)
    assert (curve["step"], curve["learning_rate"], curve["spread"]) == (3, 1e-4, {"ctcvr": 0.1})
    assert (curve["parsed"], curve["compliance"], curve["finished"], curve["length"]) == (0.75, 0.75, 0.5, 3.0)
    assert curve["distinct"] == 1.0 and curve["clip_share"] == pytest.approx(0.3)


def a_state(tmp_path, *steps: int) -> RunState:
    config = a_run_config(limits=Limits(window=3))
    state = RunState(config, None, None, None, tmp_path)
    state.candidates = [Candidate(step, 0.5, 1.0, 1.0) for step in steps]
    return state


def test_a_broken_limit_goes_back_past_every_step_that_its_window_saw(tmp_path):
    state = a_state(tmp_path, 2, 4, 5, 6, 8)
    state.distrust_window(8, "KL is too high")  # the window saw steps 6, 7 and 8
    assert [candidate.step for candidate in state.candidates] == [2, 4, 5]
    with pytest.raises(ConfigError, match="stopped at step 8, before a checkpoint to go back to: KL is too high"):
        a_state(tmp_path, 6, 8).distrust_window(8, "KL is too high")
