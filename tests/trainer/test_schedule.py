"""The learning rate of each step: warm-up, then constant or decay to a floor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import ConfigError, GrpoConfig, from_mapping
from trainer.grpo.schedule import learning_rate


def a_config(**changes):
    usual = {"batch_size": 10, "steps": 100, "learning_rate": 1.0, "warmup_steps": 10, "learning_rate_floor": 0.1}
    return from_mapping(GrpoConfig, usual | changes)


@pytest.mark.parametrize(
    ("decay", "rates"),
    [
        ({}, {0: 0.1, 4: 0.5, 9: 1.0, 10: 1.0, 55: 1.0, 99: 1.0}),
        ({"decay": "linear", "decay_steps": 100}, {0: 0.1, 9: 1.0, 10: 1.0, 55: 0.55, 100: 0.1, 500: 0.1}),
        ({"decay": "cosine", "decay_steps": 100}, {0: 0.1, 9: 1.0, 10: 1.0, 55: 0.55, 100: 0.1, 500: 0.1}),
        ({"decay": "cosine", "decay_steps": 100, "learning_rate_floor": 0}, {40: 0.75, 55: 0.5, 70: 0.25, 100: 0.0}),
        ({"decay": "linear", "decay_steps": 4, "warmup_steps": 0, "learning_rate_floor": 0}, {0: 1.0, 1: 0.75, 4: 0.0}),
    ],
)
def test_the_rate_of_a_step(decay, rates):
    config = a_config(**decay)
    assert {step: learning_rate(step, config) for step in rates} == pytest.approx(rates)


@given(st.sampled_from(("linear", "cosine")), st.integers(0, 300), st.integers(0, 20))
def test_a_decaying_rate_never_rises_after_the_warm_up_nor_leaves_its_bounds(decay, step, warmup):
    config = a_config(decay=decay, decay_steps=150, warmup_steps=warmup)
    now, then = learning_rate(step, config), learning_rate(step + 1, config)
    assert 0 < now <= 1.0
    assert step < warmup or 0.1 - 1e-12 <= then <= now


@given(st.integers(0, 300), st.integers(1, 300))
def test_more_steps_leave_the_rates_of_the_steps_before(step, steps):
    """A resumed run may be given more steps."""
    config = a_config(decay="cosine", decay_steps=150)
    assert learning_rate(step, config.with_changes(steps=steps)) == learning_rate(step, config)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decay": "cosine"}, "cosine need the step at which they reach the floor, such as decay_steps: 150"),
        ({"decay_steps": 50}, "constant takes none"),
        ({"decay": "linear", "decay_steps": 10}, "decay_steps 10 must be greater than warmup_steps 10"),
        ({"learning_rate_floor": 1.0}, "learning_rate_floor 1.0 must be less than 1"),
    ],
)
def test_a_decay_that_cannot_be_meant_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        a_config(**changes)
