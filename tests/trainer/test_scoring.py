"""From a snapshot to a saved version, and from a version to scores: whole, resumable, every string embedded once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.builders import a_brief, an_ad
from tests.trainer.logs import LetterEncoder, a_market, save_market
from trainer.config import RewardConfig
from trainer.registry import read_reward_model
from trainer.reward_model.dataset import half, read_cells
from trainer.reward_model.model import SharedBottom
from trainer.reward_model.novelty import Novelty
from trainer.reward_model.report import ranking_table, write_report
from trainer.reward_model.run import evaluate, fit, train_reward_model, unseen_cells
from trainer.reward_model.score import RewardModel, Triple, as_mapping
from trainer.snapshot import read_snapshot

CONFIG = RewardConfig(encoder="hashed", members=2, bottom=(16,), tower=(), epochs=4, batch_cells=64, learning_rate=1e-2)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_market(tmp_path_factory.mktemp("log") / "snapshot")


@pytest.fixture(scope="module")
def model(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> RewardModel:
    return train_reward_model(snapshot, CONFIG, tmp_path_factory.mktemp("artifacts"))


def triples(count: int) -> list[Triple]:
    return [Triple(f"query {number % 3}", "shop 1", f"aab {number}") for number in range(count)]


def test_a_version_says_what_it_was_made_from_and_how_good_it_is(model: RewardModel, snapshot: Path) -> None:
    version = model.version
    assert (
        version.version.startswith("reward-20261122-")
        and version.encoder.startswith("hashed@")
        and version.target == "ctcvr"
    )
    assert version.metrics == evaluate(model, unseen_cells(model, snapshot))
    assert version.metrics["ctr_auc_low"] > 0.5 and version.metrics["ctr_within_brief"] > 0.55


def test_a_saved_model_scores_as_before(model: RewardModel, tmp_path: Path) -> None:
    loaded = RewardModel.load(model.save(tmp_path))
    before, after = model.score(triples(7)), loaded.score(triples(7))
    assert all(np.array_equal(getattr(before, name), getattr(after, name)) for name in ("logit", "std", "ctr", "ctcvr"))
    assert loaded.version == model.version == read_reward_model(tmp_path)


def test_the_same_snapshot_and_config_make_the_same_version(snapshot: Path, model: RewardModel, tmp_path: Path) -> None:
    again = train_reward_model(snapshot, CONFIG, tmp_path)
    assert again.version.version == model.version.version and again.version.metrics == model.version.metrics


def test_the_held_out_model_has_other_advertisers_than_the_policys_model(model: RewardModel, snapshot: Path) -> None:
    cells, sides = read_cells(read_snapshot(snapshot)), []
    for which in ("policy", "held_out_model"):
        config = CONFIG.with_changes(half=which)
        unseen = unseen_cells(replace(model, version=replace(model.version, config=as_mapping(config))), snapshot)
        used = half(cells, which)
        assert {*unseen.group} < {*used.group}
        sides.append({*used.group})
    assert not sides[0] & sides[1]


def test_every_string_is_embedded_once_a_batch(model: RewardModel) -> None:
    encoder = LetterEncoder()
    member = SharedBottom(encoder.dim, CONFIG.with_changes(surface=False)).eval()
    RewardModel(model.version, encoder, (member,), Novelty(np.zeros(8), np.eye(8))).score(triples(9))
    assert sorted(encoder.asked) == sorted({string for triple in triples(9) for string in triple})


def test_scores_are_rates_and_agree_with_their_logit(model: RewardModel) -> None:
    scores = model.score(triples(5))
    assert scores.ctcvr == pytest.approx(1 / (1 + np.exp(-scores.logit)))
    assert ((scores.ctr > 0) & (scores.ctr < 1) & (scores.std >= 0)).all() and scores.std.max() > 0
    assert model.score([]).logit.shape == (0,)


@pytest.mark.parametrize("locale", ["zh-CN", "en-US", "ja-JP"])
def test_a_brief_and_its_text_are_scored_as_the_log_spells_them(model: RewardModel, locale: str) -> None:
    brief, text = a_brief(locale=locale), an_ad(locale=locale)
    triple = Triple.of(brief, text)
    assert triple.query == brief.query and text.title in triple.text and brief.ad.advertiser in triple.ad
    assert np.isfinite(model.score([triple]).logit).all()


def test_a_source_without_conversions_trains_a_ctr_model() -> None:
    model = fit(replace(a_market(), conversions=None), CONFIG)
    scores = model.score(triples(3))
    assert model.version.target == "ctr" and "ctcvr_auc" not in model.version.metrics
    assert scores.ctcvr == pytest.approx(scores.ctr, rel=0.05)


def test_the_report_orders_sure_pairs_best_and_needs_no_network(
    model: RewardModel, snapshot: Path, tmp_path: Path
) -> None:
    cells = unseen_cells(model, snapshot)
    page = write_report(model, cells, evaluate(model, cells), tmp_path / "report.html").read_text(encoding="utf-8")
    assert model.version.version in page and 'src="http' not in page
    counts = [count for *_, count in ranking_table(cells, model.score_cells(cells))]
    assert counts == sorted(counts, reverse=True) and counts[0] > 0


def trainer(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trainer", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_program_trains_and_evaluates_and_refuses_in_one_line(snapshot: Path, tmp_path: Path) -> None:
    quick = [
        f"--set={setting}"
        for setting in ("encoder=hashed", "members=1", "epochs=6", "learning_rate=0.01", "batch_cells=64")
    ]
    done = trainer("train", "reward", "--snapshot", snapshot, "--out", tmp_path, *quick)
    assert done.returncode == 0, done.stderr
    model = Path(done.stdout.splitlines()[-1])
    judged = trainer(
        "evaluate", "reward", "--snapshot", snapshot, "--model", model, "--report", tmp_path / "report.html"
    )
    assert judged.returncode == 0 and "AUC inside a brief" in judged.stdout, judged.stderr
    refused = trainer("train", "reward", "--snapshot", tmp_path, "--out", tmp_path, "--set=epochs=0")
    assert (refused.returncode, refused.stderr) == (1, "relate: epochs 0 must be at least 1\n")


def test_uncertainty_rises_where_the_like_was_not_logged() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(200, 3)) @ np.eye(3, 8)  # every logged text lies in three of eight directions
    logged = Novelty.fit(plane.astype(np.float32), np.full(200, 5.0), spread=0.3)
    like, unlike = logged.variance(plane[:20].astype(np.float32)), logged.variance(np.eye(8, dtype=np.float32)[3:])
    assert like.max() < unlike.min()
    more = Novelty.fit(plane.astype(np.float32), np.full(200, 50.0), spread=0.3)
    assert (more.variance(plane.astype(np.float32)) < logged.variance(plane.astype(np.float32))).all()


def test_what_nothing_was_logged_of_has_the_priors_variance() -> None:
    vectors = np.random.default_rng(1).normal(size=(500, 4)).astype(np.float32)
    nothing = Novelty.fit(vectors, np.full(500, 1e-9), spread=0.3)
    assert np.sqrt(nothing.variance(vectors).mean()) == pytest.approx(0.3, rel=1e-3)
