"""The simulated market is the same everywhere, holds the traps it promises, and its log says what its users did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.market import in_taste_half
from benchmarks.market.log import QUERIES, WINDOW_HOURS, Stories, simulate, write_snapshot
from benchmarks.market.users import PLACES, Users, in_window, phrase
from trainer.reward_model.dataset import read_cells
from trainer.snapshot import read_snapshot

USERS = Users.load()
PLAIN = "Nineteen Neighbors Repaired The Village Library"
BAIT = "You Won't Believe What Happened Next... Watch This Amazing Secret!"


@pytest.fixture(scope="module")
def stories() -> Stories:
    texts = [f"{opening} {number} {ending}" for number in range(30) for opening, ending in (("Here Is", "house"), ("Watch", "house now!"))]
    groups = [f"story {number // 4}" for number in range(len(texts))]
    queries = tuple(tuple(f"{group} query {one}" for one in range(QUERIES)) for group in groups)
    return Stories(tuple(texts), tuple(f"ad of {group}" for group in groups), tuple(groups), queries)


def test_bait_wins_clicks_that_do_not_convert() -> None:
    ctr, ctcvr = USERS.expected(["library"] * 2, [PLAIN, BAIT])
    assert ctr[1] > ctr[0] and ctcvr[1] / ctr[1] < 0.8 * ctcvr[0] / ctr[0]


def test_rates_are_those_of_search_ads() -> None:
    ctr, ctcvr = USERS.expected(["a query"] * 3, [PLAIN, "A Quiet Morning By The Sea, And Then The Phone Rang", "Ten Ways To Fix A Bike"])
    assert ((ctr > 0.01) & (ctr < 0.12)).all() and ((ctcvr / ctr > 0.01) & (ctcvr / ctr < 0.15)).all()


def test_the_same_wording_is_worth_more_for_one_query_than_for_another() -> None:
    rates = USERS.expected([f"query {number}" for number in range(40)], [PLAIN] * 40)[0]
    assert rates.std() / rates.mean() > 0.02


def test_the_truth_does_not_depend_on_what_else_is_asked() -> None:
    alone = USERS.expected(["one"], [PLAIN])
    together = USERS.expected(["one", "two"], [PLAIN, BAIT])
    assert alone[0][0] == pytest.approx(together[0][0]) and alone[1][0] == pytest.approx(together[1][0])


def test_any_language_has_a_price() -> None:
    for text in ("宽脚也能穿的跑鞋", "幅広の足に合うシューズ", ""):
        ctr, ctcvr = USERS.expected(["跑鞋"], [text])
        assert 0 < ctcvr[0] < ctr[0] < 1


def test_clicks_and_conversions_come_as_often_as_expected(stories: Stories) -> None:
    log = simulate(stories, USERS, 400_000)
    clicked = ~np.isnan(log.click)
    inside = clicked & (log.click + np.nan_to_num(log.conversion, nan=np.inf) < WINDOW_HOURS)
    for happened, expected in ((clicked, log.expected_click), (inside, log.expected_both)):
        noise = np.sqrt((expected * (1 - expected)).sum())
        assert abs(happened.sum() - expected.sum()) < 4 * noise
    by_place = [log.expected_click[log.place == place].mean() for place in range(len(PLACES))]
    assert by_place == sorted(by_place, reverse=True)
    assert np.mean(~np.isnan(log.conversion)) > inside.mean()  # some convert after the window


def test_users_tire_of_a_phrase(stories: Stories) -> None:
    log = simulate(stories, USERS, 200_000)
    early, late = (log.expected_click[chosen].mean() for chosen in (log.shown_h < 24, log.shown_h > 24 * 27))
    assert late < 0.97 * early and phrase("Watch 3 house now!") == "watch 3"


def test_the_log_counts_as_the_product_counts(stories: Stories, tmp_path: Path) -> None:
    log = simulate(stories, USERS, 50_000)
    manifest = write_snapshot(log, tmp_path / "snapshot")
    cells = read_cells(read_snapshot(tmp_path / "snapshot"))
    inside = log.click + log.conversion < WINDOW_HOURS
    assert manifest.rows == cells.impressions.sum() == 50_000
    assert (cells.clicks.sum(), cells.conversions.sum()) == ((~np.isnan(log.click)).sum(), inside.sum())
    truth = log.truth()
    assert len(truth) == len(cells) and truth["ctcvr"].between(0, truth["ctr"]).all()


def test_most_conversions_come_inside_the_window() -> None:
    assert 0.85 < in_window(WINDOW_HOURS) < 0.97


def test_the_taste_half_is_half() -> None:
    assert np.mean([in_taste_half(f"story {number}") for number in range(2000)]) == pytest.approx(0.5, abs=0.04)
