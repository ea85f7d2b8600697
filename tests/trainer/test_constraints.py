"""Dual ascent, the choice of a checkpoint, and what stops a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import DualSettings, Limits
from trainer.grpo.constraints import HIGHEST, Candidate, Duals, choose
from trainer.grpo.watch import Vitals, Watch

A_SHARE = st.floats(0, 1)


@given(st.lists(st.tuples(A_SHARE, A_SHARE), max_size=60))
def test_multipliers_stay_between_zero_and_ten(batches):
    duals = Duals(DualSettings(rate=5.0))
    for quality, diversity in batches:
        duals.update(quality, diversity)
        assert all(0 <= value <= HIGHEST for value in duals.multipliers().values())


def test_a_multiplier_rises_while_its_constraint_is_broken_and_falls_once_it_holds():
    duals = Duals(DualSettings(quality=0.94, diversity=0.82, rate=0.5, memory=0.0))
    duals.update(0.5, 1.0)
    assert duals.quality == pytest.approx(1 + 0.5 * 0.44) and duals.diversity == pytest.approx(1 - 0.5 * 0.18)
    assert duals.multipliers() == {"risk": duals.quality, "correctness": duals.quality, "diversity": duals.diversity}
    before = duals.quality
    duals.update(1.0, 1.0)
    assert duals.quality < before


def test_the_average_forgets_slowly_and_a_resumed_run_goes_on_with_it():
    duals = Duals(DualSettings(memory=0.9))
    duals.update(1.0, 1.0)
    duals.update(0.0, 0.0)
    assert duals.mean_quality == pytest.approx(0.9)
    resumed = Duals(DualSettings(memory=0.9))
    resumed.load_state_dict(duals.state_dict())
    resumed.update(0.3, 0.4)
    duals.update(0.3, 0.4)
    assert resumed == duals


@pytest.mark.parametrize(
    ("candidates", "step"),
    [
        # Model 2: CTCVR up, diversity gone
        ([(10, 0.50, 0.95, 0.90), (20, 0.55, 0.96, 0.85), (30, 0.90, 0.95, 0.21)], 20),
        ([(10, 0.50, 0.95, 0.90), (20, 0.50, 0.95, 0.90)], 20),  # equal values: the later step
        ([(10, 0.90, 0.40, 0.90), (20, 0.10, 0.93, 0.90)], 20),  # none holds: the one that lacks least
        ([(10, 0.99, 0.93, 0.99), (20, 0.10, 0.94, 0.82)], 20),  # exactly at the thresholds holds
        ([(10, 0.50, 0.80, 0.90), (20, 0.90, 0.79, 0.90)], 20),  # none holds, both lack about as much: CTCVR decides
        ([(10, 0.50, 0.80, 0.90), (20, 0.90, 0.77, 0.90)], 10),
    ],
)
def test_the_chosen_checkpoint_converts_best_among_those_that_hold_the_constraints(candidates, step):
    assert choose([Candidate(*candidate) for candidate in candidates], DualSettings()).step == step


def test_without_a_checkpoint_there_is_nothing_to_choose():
    with pytest.raises(ValueError, match="lower checkpoint_every"):
        choose([], DualSettings())


WELL = Vitals(kl=0.05, length=30, distinct=0.9, gap=0.1, judge_gap=0.05, truth=0.7, fluency=0.8)


@pytest.mark.parametrize(
    ("vitals", "said"),
    [
        (Vitals(0.8, 30, 0.9, 0.1), "KL to the starting policy is 0.800"),
        (Vitals(0.05, 12, 0.9, 0.1), "texts are 0.40 times as long as at the start, below limits.shortest"),
        (Vitals(0.05, 60, 0.9, 0.1), "texts are 2.00 times as long as at the start, above limits.longest"),
        (Vitals(0.05, 30, 0.2, 0.1), "0.20 of a brief's texts are distinct"),
        (Vitals(0.05, 30, 0.9, 0.6), "the training reward model is ahead of the held-out one by 0.500 more"),
        (replace(WELL, judge_gap=0.25), "the judge is ahead of the second judge by 0.200 more than at the start"),
        (replace(WELL, truth=0.45), "truth is 0.250 lower than at the start, more than limits.truth 0.2"),
        (replace(WELL, fluency=0.5), "fluency is 0.300 lower than at the start, more than limits.fluency 0.2"),
    ],
)
def test_a_broken_limit_is_named_with_its_value(vitals, said):
    watch = Watch(Limits(window=2))
    assert [watch.look(step) for step in (WELL, WELL, WELL)] == [None, None, None]
    watch.look(vitals)  # half the window
    assert said in str(watch.look(vitals))


def test_a_gain_that_the_second_judge_sees_too_stops_nothing():
    watch = Watch(Limits(window=2))
    better = replace(WELL, truth=0.95, fluency=0.95)  # the gap between the judges stays
    assert [watch.look(vitals) for vitals in (WELL, WELL, better, better)] == [None] * 4


def test_one_odd_step_stops_nothing_and_no_held_out_model_means_no_gap():
    watch = Watch(Limits(window=5))
    calm = Vitals(0.01, 30, 1.0, None)
    assert all(watch.look(step) is None for step in [calm] * 6 + [Vitals(2.0, 30, 1.0, None)] + [calm] * 3)


@given(
    st.lists(
        st.builds(
            Vitals,
            st.floats(0, 0.4),
            st.floats(25, 35),
            st.floats(0.7, 1),
            st.none() | st.floats(0, 0.2),
            st.none() | st.floats(0, 0.3),
            st.none() | st.floats(0.5, 1),
            st.none() | st.floats(0.5, 1),
        ),
        max_size=20,
    )
)
def test_a_resumed_watch_sees_what_the_first_would_have_seen(readings):
    whole, first = Watch(Limits(window=3)), Watch(Limits(window=3))
    middle = len(readings) // 2
    for step in readings[:middle]:
        whole.look(step)
        first.look(step)
    resumed = Watch(Limits(window=3))
    resumed.load_state_dict(first.state_dict())
    assert [whole.look(step) for step in readings[middle:]] == [resumed.look(step) for step in readings[middle:]]
