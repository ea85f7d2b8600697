"""The reward model learns which texts win, from all impressions; the same seed gives the same model, stopped and
resumed or not.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.logs import LetterEncoder, a_market
from trainer.config import ConfigError, RewardConfig
from trainer.reward_model.dataset import Cells, LeakageError, split
from trainer.reward_model.metrics import within_brief_correlation
from trainer.reward_model.model import Batch, SharedBottom, entire_space_loss, ranking_loss
from trainer.reward_model.score import member_logits
from trainer.reward_model.train import DivergedError, as_batch, batches, predict, resampled, train_ensemble

CONFIG = RewardConfig(
    surface=False, members=2, bottom=(16,), tower=(8,), epochs=6, batch_cells=32, learning_rate=1e-2, dropout=0.1
)


def trained(cells: Cells, config: RewardConfig = CONFIG, **more):
    parts = split(cells, config)
    vectors = torch.from_numpy(LetterEncoder().encode(cells.strings))
    return train_ensemble(parts.training, parts.tuning, vectors, config, **more), vectors, parts.tested


def whole(cells: Cells) -> Batch:
    return as_batch(cells, torch.from_numpy(LetterEncoder().encode(cells.strings)), CONFIG)


def weights(members) -> list[torch.Tensor]:
    return [tensor for member in members for tensor in member.state_dict().values()]


def same(first, second) -> bool:
    return all(torch.equal(left, right) for left, right in zip(weights(first), weights(second), strict=True))


def test_ctcvr_is_ranked_inside_a_brief_where_clicks_and_conversions_disagree() -> None:
    members, vectors, tested = trained(a_market(groups=80), CONFIG.with_changes(epochs=30))
    click, both = (
        logits.mean(axis=0)
        for logits in member_logits(members, vectors, CONFIG, tested.query, tested.ad, tested.text, tested.position)
    )
    ctr, ctcvr = tested.clicks / tested.impressions, tested.conversions / tested.impressions
    assert within_brief_correlation(click, ctr, tested.brief) > 0.8
    assert within_brief_correlation(both, ctcvr, tested.brief) > 0.7
    assert (
        within_brief_correlation(both, ctcvr, tested.brief) > within_brief_correlation(click, ctcvr, tested.brief) + 0.1
    )


def test_counted_cells_have_the_loss_and_gradient_of_their_rows() -> None:
    cells = a_market(groups=2, texts=2, impressions=12)
    vectors = torch.from_numpy(LetterEncoder().encode(cells.strings))
    numbers, clicks, conversions = [], [], []
    for number, (n, c, v) in enumerate(zip(cells.impressions, cells.clicks, cells.conversions, strict=True)):
        numbers += [number] * int(n)
        clicks += [1.0] * int(c) + [0.0] * int(n - c)
        conversions += [1.0] * int(v) + [0.0] * int(n - v)
    expanded = cells.where(np.array(numbers))
    rows = replace(
        expanded, impressions=np.ones(len(numbers)), clicks=np.array(clicks), conversions=np.array(conversions)
    )
    torch.manual_seed(0)
    model = SharedBottom(8, CONFIG).eval()
    gradients = []
    for data in (cells, rows):
        model.zero_grad()
        batch = as_batch(data, vectors, CONFIG)
        loss = entire_space_loss(*predict(model, batch, vectors), batch)
        loss.backward()
        gradients.append((loss.detach(), [parameter.grad.clone() for parameter in model.parameters()]))
    (counted, by_cell), (by_rows, by_row) = gradients
    assert torch.isclose(counted, by_rows, rtol=1e-5)
    assert all(torch.allclose(gradient, other, atol=1e-6) for gradient, other in zip(by_cell, by_row, strict=True))


def test_the_ranking_term_sees_no_briefs_level_only_its_texts_order() -> None:
    batch = whole(a_market(groups=3, texts=3))
    click, conversion = torch.randn(len(batch.brief)), torch.full((len(batch.brief),), -3.0)
    level = torch.tensor([0.0, -0.5, 0.7])[batch.brief]
    shifted = torch.logit(torch.sigmoid(click) * torch.exp(level - 0.8))
    lowered = torch.logit(torch.sigmoid(click) * torch.exp(torch.tensor(-0.8)))
    assert torch.isclose(ranking_loss(shifted, conversion, batch), ranking_loss(lowered, conversion, batch), rtol=1e-4)
    right = torch.logit(batch.clicks / batch.impressions)
    assert ranking_loss(right, conversion, batch) < ranking_loss(-right, conversion, batch)


def test_the_place_of_display_is_not_credited_to_the_text() -> None:
    cells = a_market(groups=60, texts=4)
    at_second = cells.position == 1
    clicks = np.where(at_second, np.floor(cells.clicks / 2), cells.clicks)
    halved = replace(cells, clicks=clicks, conversions=np.minimum(cells.conversions, clicks))
    members, vectors, tested = trained(halved, CONFIG.with_changes(epochs=30))
    logits = [
        member_logits(members, vectors, CONFIG, tested.query, tested.ad, tested.text, np.full(len(tested), place))[
            0
        ].mean()
        for place in (0, 1)
    ]
    assert logits[0] - logits[1] == pytest.approx(np.log(2), abs=0.35)


def test_training_begins_at_the_click_rate_of_each_place() -> None:
    cells = a_market(groups=60, texts=4)
    clicks = np.where(cells.position == 1, np.floor(cells.clicks / 5), cells.clicks)
    fifth = replace(cells, clicks=clicks, conversions=np.minimum(cells.conversions, clicks))
    members, *_ = trained(fifth, CONFIG.with_changes(epochs=1, learning_rate=1e-9))
    place = members[0].place.detach()
    assert abs(place[0].item()) < 1e-6 and place[1].item() == pytest.approx(np.log(0.2), abs=0.3)
    assert place[2:].min() > place[1]  # places never shown are no better known than the whole


def test_the_same_seed_gives_the_same_model_and_another_seed_another() -> None:
    cells = a_market()
    first, again, other = (trained(cells, CONFIG.with_changes(epochs=2, seed=seed))[0] for seed in (1, 1, 2))
    assert same(first, again) and not same(first, other)


def test_members_of_an_ensemble_differ() -> None:
    members, *_ = trained(a_market(), CONFIG.with_changes(epochs=2))
    assert not same(members[:1], members[1:])


class Killed(Exception):
    pass


@pytest.mark.parametrize(("member", "epoch"), [(0, 2), (1, 1), (1, 6)])
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path, member: int, epoch: int) -> None:
    cells = a_market()
    straight, *_ = trained(cells)

    def kill(at_member: int, at_epoch: int, *_: float) -> None:
        if (at_member, at_epoch) == (member, epoch):
            raise Killed

    with pytest.raises(Killed):
        trained(cells, checkpoints=tmp_path, watch=kill)
    epochs: list[tuple[int, int]] = []
    resumed, *_ = trained(
        cells, checkpoints=tmp_path, watch=lambda at_member, at_epoch, *_: epochs.append((at_member, at_epoch))
    )
    assert same(straight, resumed)
    assert all(at > (member, epoch) for at in epochs)


def test_a_checkpoint_of_another_run_is_refused_by_what_differs(tmp_path: Path) -> None:
    cells = a_market()
    trained(cells, checkpoints=tmp_path, run="monday")
    with pytest.raises(ConfigError, match="other data or encoder"):
        trained(cells, checkpoints=tmp_path, run="tuesday")
    with pytest.raises(ConfigError, match=r"other settings \(dropout\)"):
        trained(cells, CONFIG.with_changes(dropout=0.3), checkpoints=tmp_path, run="monday")


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    with pytest.raises(DivergedError, match="member 0, epoch 1: loss is nan: lower learning_rate"):
        trained(a_market(), CONFIG.with_changes(learning_rate=1e30))


def test_training_refuses_groups_that_are_also_held_out() -> None:
    cells = a_market()
    with pytest.raises(LeakageError):
        train_ensemble(cells, cells, torch.zeros(len(cells.strings), 8), CONFIG)


def test_a_bootstrap_sample_draws_whole_groups() -> None:
    cells = a_market()
    drawn = resampled(cells, seed=3)
    whole = np.bincount(cells.group, weights=cells.impressions)
    times = np.bincount(drawn.group, weights=drawn.impressions, minlength=len(whole)) / whole
    assert np.array_equal(times, np.round(times)) and times.sum() == len(cells.groups) and times.max() > 1


@pytest.mark.parametrize("by_brief", [True, False])
def test_an_epoch_takes_every_cell_once_and_keeps_competing_texts_together_when_they_are_ranked(by_brief: bool) -> None:
    batch = whole(a_market(groups=10, texts=4))
    pieces = list(batches(batch, 8, torch.Generator().manual_seed(0), by_brief=by_brief))
    assert sorted(torch.cat([piece.text for piece in pieces]).tolist()) == sorted(batch.text.tolist())
    most = max(len(piece.brief.unique()) for piece in pieces)
    assert (most == 2) == by_brief


def test_the_service_reaches_snapshots_and_configs_without_torch() -> None:
    code = "import sys, trainer.snapshot, trainer.config, trainer.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_batch_holds_a_few_cells_of_a_text_together_so_that_its_vector_is_projected_once() -> None:
    cells = a_market(groups=10, texts=4)
    many = whole(cells.where(np.repeat(np.arange(len(cells)), 20)))
    pieces = list(batches(many, 64, torch.Generator().manual_seed(0), by_brief=False))
    assert sorted(torch.cat([piece.text for piece in pieces]).tolist()) == sorted(many.text.tolist())
    distinct = [len(piece.text.unique()) for piece in pieces[:-1]]
    assert max(distinct) <= 64 / 4 and min(distinct) > 4  # blocks of 8, 8 and 4 cells: few texts a batch, but not one
