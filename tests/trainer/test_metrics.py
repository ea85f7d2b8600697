"""Measures on counted cells say what the textbook measures say on single rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import chi2_contingency
from sklearn.metrics import roc_auc_score

from trainer.bootstrap import bootstrap
from trainer.reward_model.calibrate import Calibration, fit_calibration
from trainer.reward_model.metrics import (
    auc,
    calibration_error,
    calibration_table,
    competing_pairs,
    log_loss,
    pair_accuracy,
    within_brief_auc,
    within_brief_correlation,
)

cells = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=12
)


def columns(rows):
    return (np.array(column, dtype=float) for column in zip(*rows, strict=True))


def as_rows(score, up, down):
    """One row an outcome: scores and labels."""
    return np.r_[np.repeat(score, up.astype(int)), np.repeat(score, down.astype(int))], np.r_[
        np.ones(int(up.sum())), np.zeros(int(down.sum()))
    ]


@given(cells)
def test_auc_of_counts_is_the_auc_of_their_rows(rows) -> None:
    score, up, down, _ = columns(rows)
    values, labels = as_rows(score, up, down)
    if up.sum() and down.sum():
        assert auc(score, up, down) == pytest.approx(roc_auc_score(labels, values))
    else:
        assert np.isnan(auc(score, up, down))


@given(cells)
def test_within_brief_auc_is_the_share_of_a_briefs_pairs_in_the_right_order(rows) -> None:
    score, up, down, brief = columns(rows)
    won = pairs = 0.0
    for number in np.unique(brief):
        mine = brief == number
        area, count = auc(score[mine], up[mine], down[mine]), up[mine].sum() * down[mine].sum()
        won, pairs = won + (area * count if count else 0.0), pairs + count
    found = within_brief_auc(score, up, down, brief)
    assert np.isnan(found) if not pairs else found == pytest.approx(won / pairs)


def test_log_loss_is_least_at_the_observed_rate() -> None:
    trials, successes = np.full(2, 100.0), np.array([3.0, 40.0])
    best = log_loss(successes / trials, successes, trials)
    assert all(log_loss(successes / trials + shift, successes, trials) > best for shift in (-0.01, 0.01))
    # a certain and right zero costs nothing
    assert log_loss(np.array([0.0, 0.4]), np.array([0.0, 40.0]), trials) < best


def test_calibration_error_of_right_rates_is_nothing_and_of_doubled_ones_the_base_rate() -> None:
    p = np.linspace(0.01, 0.05, 50)
    trials = np.full(50, 1000.0)
    assert calibration_error(p, p * trials, trials) == pytest.approx(0, abs=1e-12)
    assert calibration_error(2 * p, p * trials, trials) == pytest.approx(p.mean())
    assert calibration_table(p, p * trials, trials)[:, 0] == pytest.approx(np.full(10, 5000.0))


@given(slope=st.floats(0.3, 3), shift=st.floats(-3, 3))
def test_calibration_finds_the_line_that_was_bent(slope: float, shift: float) -> None:
    truth = np.linspace(-4, -1, 60)
    trials = np.full(60, 1e6)
    found = fit_calibration((truth - shift) / slope, expit(truth) * trials, trials)
    assert found((truth - shift) / slope) == pytest.approx(truth, abs=1e-3)


@pytest.mark.parametrize(
    ("score", "successes", "said"),
    [([0.0, 1.0], [0, 0], "needs some of both"), ([0.0, 1.0], [60, 1], "order held-out groups the wrong way")],
)
def test_calibration_refuses_what_it_cannot_mend(score, successes, said) -> None:
    with pytest.raises(ValueError, match=said):
        fit_calibration(np.array(score), np.array(successes, dtype=float), np.full(2, 100.0))


def test_calibration_keeps_the_order_of_texts() -> None:
    logits = logit(np.array([0.01, 0.02, 0.03]))
    assert (np.diff(Calibration(0.5, -1.0)(logits)) > 0).all()


def test_within_brief_correlation_ignores_the_briefs_level() -> None:
    truth, brief = np.array([1.0, 2.0, 11.0, 12.0]), np.array([0, 0, 1, 1])
    assert within_brief_correlation(truth + np.array([5, 5, -100, -100]), truth, brief) == pytest.approx(1)
    assert within_brief_correlation(-truth, truth, brief) == pytest.approx(-1)
    assert np.isnan(within_brief_correlation(np.array([3.0, 3, 7, 7]), truth, brief))


def test_an_interval_by_groups_is_wider_than_one_that_takes_rows_for_independent() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=30), 20)
    by_group, by_row = (
        bootstrap(lambda weights: float(np.average(values, weights=weights)), group)
        for group in (np.repeat(np.arange(30), 20), np.arange(600))
    )
    assert by_group.value == by_row.value == pytest.approx(values.mean())
    assert by_group.high - by_group.low > 2 * (by_row.high - by_row.low)


def test_a_short_log_has_no_significant_pair_and_no_accuracy() -> None:
    test, clicks, impressions = np.zeros(2, dtype=int), np.array([1.0, 2.0]), np.array([4.0, 4.0])
    accuracy, count = pair_accuracy(np.array([0.1, 0.2]), competing_pairs(test, test, clicks, impressions), 0.001)
    assert count == 0 and np.isnan([accuracy.value, accuracy.low, accuracy.high]).all()


def test_a_pair_is_counted_when_its_difference_is_significant() -> None:
    test, group = np.array([7, 7, 7, 8, 8]), np.array([0, 0, 0, 1, 1])
    clicks, shown = np.array([10.0, 40, 40, 10, 50]), np.full(5, 1000.0)
    pairs = competing_pairs(test, group, clicks, shown)
    assert sorted(zip(pairs.better, pairs.worse, strict=True)) == [(1, 0), (2, 0), (4, 3)]  # equal rates are no pair
    assert pairs.p_value[0] == pytest.approx(chi2_contingency([[10, 990], [40, 960]], correction=False).pvalue)
    right, count = pair_accuracy(np.array([0.0, 1, 0, 1, 0]), pairs, 0.01)
    assert (right.value, count) == (pytest.approx((1 + 0.5 + 0) / 3), 3)
