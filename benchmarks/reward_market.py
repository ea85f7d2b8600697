"""The reward model on the simulated market, judged by the truth.

Ranking is judged in expectation: an impression counts as its true probability of converting and its complement, so that
no luck of the draw is in the figures. The oracle is the expected CTCVR given what is logged: query, ad, text and place.
Intervals draw whole story groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from adtext.examples import load_examples
from benchmarks.goals import Goal
from benchmarks.market.log import Log, Stories, write_snapshot
from benchmarks.market.users import Users
from benchmarks.market.version import market_hash
from trainer.bootstrap import Interval, bootstrap
from trainer.config import RewardConfig
from trainer.reward_model.dataset import Cells, FloatArray, IntArray, half, read_cells, share_of, split
from trainer.reward_model.embed import Encoder
from trainer.reward_model.hashed import HashedEncoder
from trainer.reward_model.metrics import auc, calibration_error, within_brief_auc, within_brief_correlation
from trainer.reward_model.run import fit
from trainer.reward_model.score import RewardModel, Triple, member_logits
from trainer.reward_model.surface import ShapedEncoder
from trainer.reward_model.train import train_ensemble
from trainer.snapshot import describe_ad, describe_text, read_snapshot

EXAMPLES = Path(__file__).parents[1] / "examples" / "briefs.jsonl"
RIDGES = (1.0, 3.0, 10.0)
CTR_ONLY, CVR_ON_CLICKS = "CTR only", "CVR on clicks"


@dataclass(frozen=True)
class Judged:
    """Tested cells with their truth, expected CTCVR, and every model's prediction of it. Texts compete inside one brief
    and place.
    """

    cells: Cells
    oracle: FloatArray
    predicted: dict[str, FloatArray]

    @cached_property
    def contest(self) -> IntArray:
        """[N] number of the brief and place that a cell stood in."""
        brief_and_place = np.stack([self.cells.brief, self.cells.position])
        return np.asarray(np.unique(brief_and_place, axis=1, return_inverse=True)[1], dtype=np.int64).reshape(-1)

    def auc(self, who: str, weights: FloatArray) -> float:
        won, lost = self._outcomes(weights)
        return auc(self._of(who), won, lost)

    def order(self, who: str, weights: FloatArray) -> float:
        """P(of two impressions of one brief and place, the one that converts is scored above the one that does not)."""
        won, lost = self._outcomes(weights)
        return within_brief_auc(self._of(who), won, lost, self.contest)

    def interval(self, measure: Callable[[FloatArray], float]) -> Interval:
        return bootstrap(measure, self.cells.group)

    def _of(self, who: str) -> FloatArray:
        return self.oracle if who == "oracle" else self.predicted[who]

    def _outcomes(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        shown = weights * self.cells.impressions
        return shown * self.oracle, shown * (1 - self.oracle)


def market_part(
    log: Log, users: Users, folder: Path, cache: Path, config: RewardConfig, watch: Callable[[str], None]
) -> tuple[dict[str, Any], list[Goal]]:
    """Train on the log, judge by the truth: figures for the record, and those with a goal."""
    write_snapshot(log, folder)
    cells = read_cells(read_snapshot(folder))
    watch(f"{len(cells):,} cells of {cells.impressions.sum():,.0f} impressions")
    model = fit(cells, config, cache=cache)
    watch("reward model trained")
    tested = split(cells, config).tested
    seen = {CTR_ONLY: replace(cells, conversions=None), CVR_ON_CLICKS: _clicked(cells)}
    rivals = {name: _rival(rows, config, model.encoder)(tested) for name, rows in seen.items()}
    watch("rivals trained")
    judged = Judged(tested, truth_of(log, tested), {"reward model": model.score_cells(tested).ctcvr} | rivals)
    goals = [
        *_ranking(judged), _calibration(judged), _uncertainty(model, tested),
        _held_out_model(cells, log.stories, users, config), _outside(cells, log.stories, users, model.encoder),
    ]  # fmt: skip
    everyone = ("oracle", *judged.predicted)
    even = np.ones(len(tested))
    figures = {
        "market": market_hash(),
        "AUC": {who: judged.auc(who, even) for who in everyone},
        "AUC inside a brief": {who: judged.order(who, even) for who in everyone},
        "pairs of texts in true order": {who: _pairs_in_order(judged, p) for who, p in judged.predicted.items()},
        "correlation with log true CTCVR inside a brief": {
            who: within_brief_correlation(np.log(p), np.log(judged.oracle), judged.contest)
            for who, p in judged.predicted.items()
        },
        "logged outcomes": model.version.metrics,
        "impressions": float(cells.impressions.sum()),
        "CTR": float(cells.clicks.sum() / cells.impressions.sum()),
        "CVR": model.version.metrics["ctcvr_base_rate"] / model.version.metrics["ctr_base_rate"],
    }
    return figures, goals


def truth_of(log: Log, cells: Cells) -> FloatArray:
    """Each cell's expected CTCVR."""
    known = log.truth().groupby(["text", "query", "position"])["ctcvr"].mean()
    strings = np.array(cells.strings, dtype=object)
    return np.asarray(
        known.loc[list(zip(strings[cells.text], strings[cells.query], cells.position, strict=True))], dtype=np.float64
    )


def _rival(cells: Cells, config: RewardConfig, encoder: Encoder) -> Callable[[Cells], FloatArray]:
    """The order of a model of one rate: the same ensemble, rows and features; uncalibrated, for only its order is
    compared.
    """
    parts = split(cells, config)
    vectors = torch.from_numpy(encoder.encode(cells.strings))
    members = train_ensemble(parts.training, parts.tuning, vectors, config)
    return lambda at: expit(
        member_logits(members, vectors, config, at.query, at.ad, at.text, at.position)[0].mean(axis=0)
    )


def _clicked(cells: Cells) -> Cells:
    """Conversions of clicked impressions alone: the sample that clicking selected."""
    clicked = cells.where(cells.clicks > 0)
    assert clicked.conversions is not None
    return replace(clicked, impressions=clicked.clicks, clicks=clicked.conversions, conversions=None)


def _ranking(judged: Judged) -> list[Goal]:
    def of(figure: str, measure: Callable[[FloatArray], float], rule: Any, bound: float, sure: bool = False) -> Goal:
        found = judged.interval(measure)
        return Goal(figure, found.value, rule, bound, found.low, found.high, sure)

    mine = "reward model"

    def beyond(measure: Callable[[str, FloatArray], float], who: str) -> Callable[[FloatArray], float]:
        return lambda weights: measure(mine, weights) - measure(who, weights)

    goals = [
        of("CTCVR AUC, oracle's less model's", lambda w: -beyond(judged.auc, "oracle")(w), "at most", 0.01),
        of(
            "order inside a brief, share of the oracle's",
            lambda w: judged.order(mine, w) / judged.order("oracle", w),
            "at least",
            0.9,
        ),
    ]
    for rival in (CTR_ONLY, CVR_ON_CLICKS):
        goals += [
            of(f"CTCVR AUC, model's less {rival}", beyond(judged.auc, rival), "at least", 0, sure=True),
            of(f"order inside a brief, model's less {rival}", beyond(judged.order, rival), "at least", 0, sure=True),
        ]
    return goals


def _pairs_in_order(judged: Judged, predicted: FloatArray) -> float:
    """Share of pairs of texts of one brief and place that the model orders as the truth does: the oracle has 1."""
    contest = judged.contest
    order = np.argsort(contest, kind="stable")
    right = pairs = 0
    for run in np.split(order, np.flatnonzero(np.diff(contest[order])) + 1):
        first, second = run[np.array(np.triu_indices(len(run), 1))]
        right += int(
            (
                np.sign(predicted[first] - predicted[second]) == np.sign(judged.oracle[first] - judged.oracle[second])
            ).sum()
        )
        pairs += len(first)
    return right / pairs


def _calibration(judged: Judged) -> Goal:
    shown, p = judged.cells.impressions, judged.predicted["reward model"]

    def error(w: FloatArray) -> float:
        trials = w * shown
        return calibration_error(p, trials * judged.oracle, trials) / float(
            (trials * judged.oracle).sum() / trials.sum()
        )

    found = judged.interval(error)
    return Goal(
        "expected calibration error, share of the base rate", found.value, "at most", 0.1, found.low, found.high
    )


def _uncertainty(model: RewardModel, tested: Cells) -> Goal:
    """Mean SD of the logit over members on other businesses' ads in English, Chinese and Japanese, over that on tested
    headlines.
    """
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(tested), min(500, len(tested)), replace=False)
    like = [
        Triple(*(tested.strings[index[number]] for index in (tested.query, tested.ad, tested.text)))
        for number in chosen
    ]
    briefs = [example.brief() for example in load_examples(EXAMPLES) if not set(example.tags) & {"hostile", "invalid"}]
    unlike = [
        Triple(brief.query, describe_ad(brief.ad), describe_text(text))
        for brief in briefs
        for text in brief.ad.approved
    ]
    there, here = model.score(unlike).std, model.score(like).std
    drawn = [rng.choice(there, len(there)).mean() / rng.choice(here, len(here)).mean() for _ in range(1000)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Goal(
        "uncertainty on unlike texts, times that on like ones",
        float(there.mean() / here.mean()),
        "at least",
        1,
        low,
        high,
        True,
    )


def _held_out_model(cells: Cells, stories: Stories, users: Users, config: RewardConfig) -> Goal:
    """The held-out reward model, trained on its own advertisers, against the truth on those of the policy's reward
    model.
    """
    model = fit(half(cells, "held_out_model"), config.with_changes(encoder="hashed", half="all"))
    first = _texts_of_briefs(half(cells, "policy"))
    triples = [
        Triple(*(first.strings[number] for number in row))
        for row in zip(first.query, first.ad, first.text, strict=True)
    ]
    queries, ads, texts = zip(*((triple.query, triple.ad, triple.text) for triple in triples), strict=True)
    truth = np.log(users.expected(queries, stories.offers(ads), texts).ctcvr)
    score, brief = model.score(triples).logit, first.brief
    found = bootstrap(lambda w: within_brief_correlation(score, truth, brief, w), first.group)
    return Goal(
        "held-out reward model: correlation with the truth inside a brief",
        found.value,
        "at least",
        0.5,
        found.low,
        found.high,
    )


def _outside(cells: Cells, stories: Stories, users: Users, encoder: Encoder) -> Goal:
    """Share of the within-brief variance of true log CTCVR that ridge regression on both encoders' vectors of the text
    cannot reach.

    The truth itself is regressed, without sampling noise, on other groups' texts; the best of a few penalties is taken.
    """
    first = _texts_of_briefs(cells)
    queries, ads, texts = ([first.strings[number] for number in index] for index in (first.query, first.ad, first.text))
    vectors = [encoder.encode(texts), ShapedEncoder.fit(HashedEncoder.fit(texts), texts).encode(texts)]
    number = first.brief
    x = _inside(np.hstack(vectors).astype(float), number)
    y = _inside(np.log(users.expected(queries, stories.offers(ads), texts).ctcvr)[:, None], number)[:, 0]
    fold = np.array([int(5 * share_of(first.groups[group], "outside")) for group in first.group])
    missed = np.zeros((len(RIDGES), len(y)))
    for held in range(5):
        train, test = fold != held, fold == held
        gram, answer = x[train].T @ x[train], x[train].T @ y[train]
        for row, ridge in enumerate(RIDGES):
            missed[row, test] = (y[test] - x[test] @ np.linalg.solve(gram + ridge * np.eye(len(gram)), answer)) ** 2
    least = missed[np.argmin(missed.sum(axis=1))]
    found = bootstrap(lambda w: float((w * least).sum() / (w * y**2).sum()), first.group)
    return Goal("variance of the truth outside both encoders", found.value, "at least", 0.2, found.low, found.high)


def _texts_of_briefs(cells: Cells) -> Cells:
    """One cell for every query and text, whatever the place."""
    return cells.where(np.unique(np.stack([cells.query, cells.text]), axis=1, return_index=True)[1])


def _inside(values: FloatArray, brief: np.typing.NDArray[np.int64]) -> FloatArray:
    """[n, k] less each brief's mean."""
    sizes = np.bincount(brief)
    means = np.stack([np.bincount(brief, weights=column) / sizes for column in values.T], axis=1)
    return np.asarray(values - means[brief])
