"""The reward model on a simulated market with known truth, beside torch-rechub's ESMM, and the speed of scoring.

    python -m benchmarks.reward_model --data DIR                    # all three parts
    python -m benchmarks.reward_model --data DIR --only market --impressions 3000000
    python -m benchmarks.reward_model --data DIR --only peer --rechub FOLDER      # where torch-rechub is installed, if not here
    python -m benchmarks.reward_model --data DIR --only scoring

DIR holds the headline tests' packages.csv.gz. Ranking is judged in expectation: an impression counts as its true probability of converting
and its complement, so that no luck of the draw is in the figures; the oracle is the expected CTCVR given what is logged.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from scipy.special import expit

from adtext.examples import load_examples
from benchmarks.market.log import Log, read_stories, simulate, write_snapshot
from benchmarks.market.users import Users
from benchmarks.record import record
from benchmarks.reward_peer import against_rechub, scoring_speed
from trainer.config import RewardConfig
from trainer.reward_model.dataset import Cells, FloatArray, half, read_cells, share_of, split
from trainer.reward_model.embed import CachedEncoder, Encoder, SentenceEncoder
from trainer.reward_model.hashed import HashedEncoder
from trainer.reward_model.metrics import Interval, auc, bootstrap, calibration_error, within_brief_auc, within_brief_correlation
from trainer.reward_model.run import fit
from trainer.reward_model.score import RewardModel, Triple, member_logits
from trainer.reward_model.train import train_ensemble
from trainer.snapshot import describe_ad, describe_text, read_snapshot

EXAMPLES = Path(__file__).parents[1] / "examples" / "briefs.jsonl"
RIDGE = 3.0


def market_part(log: Log, users: Users, folder: Path, cache: Path, watch: Callable[[str], None]) -> dict[str, Any]:
    """Train on the log, judge by the truth."""
    write_snapshot(log, folder)
    cells = read_cells(read_snapshot(folder))
    watch(f"{len(cells):,} cells of {cells.impressions.sum():,.0f} impressions")
    config = RewardConfig(tested=0.3)
    model = fit(cells, config, cache=cache)
    watch("reward model trained")
    tested = split(cells, config).tested
    truth = _truth(log, tested)
    oracle, scores = truth["ctcvr"], model.score_cells(tested)
    seen = {"CTR only": replace(cells, conversions=None), "CVR on clicks": _clicked(cells)}
    rivals = {name: _rival(rows, config, model.encoder)(tested) for name, rows in seen.items()}
    watch("rivals trained")
    predicted = {"reward model": scores.ctcvr, "oracle": oracle} | rivals
    figures = _figures(tested, oracle, predicted)
    base = float((tested.impressions * oracle).sum() / tested.impressions.sum())
    successes = tested.impressions * oracle
    figures["calibration error of base rate"] = calibration_error(scores.ctcvr, successes, tested.impressions) / base
    figures["calibration error of base rate, logged outcomes"] = model.version.metrics["ctcvr_calibration_error_of_base"]
    figures["AUC, logged outcomes"] = {
        name: auc(p, tested.conversions, tested.impressions - tested.conversions)  # type: ignore[operator, arg-type]
        for name, p in predicted.items()
    }
    figures["base rates"] = {name: model.version.metrics[f"{name}_base_rate"] for name in ("ctr", "ctcvr")}
    figures["uncertainty"] = _uncertainty(model, tested)
    figures["judge"] = _judge(cells, users, config)
    figures["variance outside the encoders"] = _outside(cells, users, model.encoder)
    return figures


def _rival(cells: Cells, config: RewardConfig, encoder: Encoder) -> Callable[[Cells], FloatArray]:
    """The order of a model of one rate: the same ensemble, rows and features; uncalibrated, for only its order is compared."""
    parts = split(cells, config)
    vectors = torch.from_numpy(encoder.encode(cells.strings))
    members = train_ensemble(parts.training, parts.tuning, vectors, config)
    return lambda at: expit(member_logits(members, vectors, at.query, at.ad, at.text, at.position)[0].mean(axis=0))


def _clicked(cells: Cells) -> Cells:
    """Conversions of clicked impressions alone: the sample that clicking selected."""
    clicked = cells.where(cells.clicks > 0)
    assert clicked.conversions is not None
    return replace(clicked, impressions=clicked.clicks, clicks=clicked.conversions, conversions=None)


def _truth(log: Log, cells: Cells) -> dict[str, FloatArray]:
    """The expected rates of each cell."""
    known = log.truth().groupby(["text", "query", "position"])[["ctr", "ctcvr"]].mean()
    strings = np.array(cells.strings, dtype=object)
    found = known.loc[list(zip(strings[cells.text], strings[cells.query], cells.position, strict=True))]
    return {rate: found[rate].to_numpy() for rate in ("ctr", "ctcvr")}


def _figures(cells: Cells, oracle: FloatArray, predicted: dict[str, FloatArray]) -> dict[str, Any]:
    brief = cells.brief
    won, lost = cells.impressions * oracle, cells.impressions * (1 - oracle)

    def overall(p: FloatArray, w: FloatArray) -> float:
        return auc(p, w * won, w * lost)

    def inside(p: FloatArray, w: FloatArray) -> float:
        return within_brief_auc(p, w * won, w * lost, brief)

    figures: dict[str, Any] = {}
    for name, measure in (("AUC", overall), ("AUC inside a brief", inside)):
        figures[name] = {who: measure(p, np.ones(len(cells))) for who, p in predicted.items()}
        figures[f"{name}, reward model less"] = {
            who: _interval(bootstrap(lambda w, p=p, m=measure: m(predicted["reward model"], w) - m(p, w), cells.group))  # type: ignore[misc]
            for who, p in predicted.items()
            if who != "reward model"
        }
    order = {who: within_brief_correlation(np.log(p), np.log(oracle), brief) for who, p in predicted.items()}
    figures["correlation with log true CTCVR inside a brief"] = order
    return figures


def _interval(interval: Interval) -> list[float]:
    return [interval.value, interval.low, interval.high]


def _uncertainty(model: RewardModel, tested: Cells) -> dict[str, float]:
    """Mean SD of the logit over members: on tested texts, on the same words shuffled, on other businesses' ads, on another language's."""
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(tested), 500, replace=False)
    like = [Triple(*(tested.strings[index[number]] for index in (tested.query, tested.ad, tested.text))) for number in chosen]
    shuffled = [one._replace(text=" ".join(rng.permutation(one.text.split()))) for one in like]
    groups = {"like the log": like, "words shuffled": shuffled} | {f"example ads, {name}": made for name, made in _examples().items()}
    return {name: float(model.score(triples).std.mean()) for name, triples in groups.items()}


def _examples() -> dict[str, list[Triple]]:
    found: dict[str, list[Triple]] = {"English": [], "Chinese": []}
    for example in load_examples(EXAMPLES):
        if not set(example.tags) & {"hostile", "invalid"}:
            brief = example.brief()
            kind = {"en": "English", "zh": "Chinese"}.get(brief.language)
            if kind:
                found[kind] += [Triple(brief.query, describe_ad(brief.ad), describe_text(text)) for text in brief.ad.approved]
    return found


def _judge(cells: Cells, users: Users, config: RewardConfig) -> dict[str, float]:
    """The held-out judge, trained on its own advertisers, against the truth on those of the policy: within-brief correlation of logits."""
    judge = fit(half(cells, "judge"), replace(config, encoder="hashed", half="all"))
    others = half(cells, "policy")
    first = others.where(np.unique(np.stack([others.query, others.text]), axis=1, return_index=True)[1])
    triples = [Triple(*(first.strings[number] for number in row)) for row in zip(first.query, first.ad, first.text, strict=True)]
    _, both = users.expected([triple.query for triple in triples], [triple.text for triple in triples])
    return {
        "within-brief correlation with the truth": within_brief_correlation(judge.score(triples).logit, np.log(both), first.brief),
        "advertisers": float(len(np.unique(half(cells, "judge").group))),
    }


def _outside(cells: Cells, users: Users, encoder: Encoder) -> dict[str, float]:
    """Share of the within-brief variance of true logit CTCVR that ridge regression on both encoders' vectors of the text cannot reach."""
    first = cells.where(np.unique(np.stack([cells.query, cells.text]), axis=1, return_index=True)[1])
    queries, texts = ([first.strings[number] for number in index] for index in (first.query, first.text))
    truth = np.log(users.expected(queries, texts)[1])
    hashed = HashedEncoder.fit(sorted(set(texts)))
    x = np.hstack([encoder.encode(texts), hashed.encode(texts)]).astype(float)
    number = first.brief
    sizes = np.bincount(number)
    y = truth - (np.bincount(number, weights=truth) / sizes)[number]
    x -= np.stack([np.bincount(number, weights=column) / sizes for column in x.T], axis=1)[number]
    fold = np.array([_fold(first.groups[group]) for group in first.group])
    missed = 0.0
    for held in range(5):
        train, test = fold != held, fold == held
        weights = np.linalg.solve(x[train].T @ x[train] + RIDGE * np.eye(x.shape[1]), x[train].T @ y[train])
        missed += float(((y[test] - x[test] @ weights) ** 2).sum())
    return {"outside": missed / float((y**2).sum()), "SD of log CTCVR inside a brief": float(y.std())}


def _fold(group: str) -> int:
    return int(5 * share_of(group, "outside"))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", choices=("market", "peer", "scoring"))
    parser.add_argument("--impressions", type=int, default=3_000_000)
    parser.add_argument("--peer-rows", type=int, default=300_000)
    parser.add_argument("--rechub", type=Path, help="a folder that torch-rechub was installed into with pip --target")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    console = Console()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        cache = chosen.cache or Path(scratch) / "cache"
        users, stories = Users.load(cache), read_stories(chosen.data)
        if chosen.only in (None, "market"):
            log = simulate(stories, users, chosen.impressions)
            figures["market"] = market_part(log, users, Path(scratch) / "snapshot", cache, console.log)
        if chosen.only in (None, "peer"):
            log = simulate(stories, users, chosen.peer_rows, seed=1)
            figures["peer"] = against_rechub(log, CachedEncoder(SentenceEncoder(), cache), chosen.rechub)
        if chosen.only in (None, "scoring"):
            figures["scoring"] = scoring_speed(stories, Path(scratch) / "cold")
    console.print_json(json.dumps(figures))
    name = "reward_model" if chosen.only is None else f"reward_model_{chosen.only}"
    record(name, figures, ("torch", "numpy", "sentence-transformers", "scikit-learn"), chosen.out)


if __name__ == "__main__":
    main()
