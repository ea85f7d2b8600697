"""Speed beside others: training beside torch-rechub's ESMM on the same rows, scoring beside the raw encoder on the
same strings.

Seconds are CPU seconds of this process, which has one thread: what else runs on the machine does not count.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

from benchmarks.goals import Goal
from benchmarks.market.log import Log, Stories
from trainer.bootstrap import bootstrap
from trainer.config import RewardConfig
from trainer.registry import RewardModelVersion
from trainer.reward_model.dataset import Cells
from trainer.reward_model.embed import CachedEncoder, Encoder, SentenceEncoder
from trainer.reward_model.metrics import auc
from trainer.reward_model.model import SharedBottom
from trainer.reward_model.novelty import Novelty
from trainer.reward_model.score import RewardModel, Triple, as_mapping, member_logits
from trainer.reward_model.surface import ShapedEncoder
from trainer.reward_model.train import train_ensemble

# rows a batch, passes over the rows, widths of the towers: the same on both sides
BATCH, EPOCHS, DIMS = 2048, 2, (128, 64)
PAIRS = 3  # interleaved pairs of runs
TRIPLES = 10_000


def rows_of(log: Log) -> Cells:
    """Every impression a cell of its own, without its place: torch-rechub has no additive term. A late conversion is
    none.
    """
    stories = log.stories
    strings = sorted({*stories.text, *stories.ad, *(query for queries in stories.queries for query in queries)})
    number = {string: at for at, string in enumerate(strings)}
    groups = sorted(set(stories.group))
    place = {group: at for at, group in enumerate(groups)}
    text, ad = (np.array([number[string] for string in kind]) for kind in (stories.text, stories.ad))
    query = np.array([[number[string] for string in queries] for queries in stories.queries])
    group = np.array([place[name] for name in stories.group])
    clicked = ~np.isnan(log.click)
    converted = clicked & (log.click + np.nan_to_num(log.conversion, nan=np.inf) < 168)
    return Cells(
        tuple(strings),
        tuple(groups),
        query[log.text, log.query],
        ad[log.text],
        text[log.text],
        group[log.text],
        log.place * 0,
        np.ones(len(log.text)),
        clicked.astype(float),
        converted.astype(float),
    )


def against_rechub(log: Log, encoder: Encoder) -> tuple[dict[str, Any], list[Goal]]:
    """The same frozen vectors, rows, batch, passes and tower widths; both sides keep the last pass's weights."""
    try:
        import torch_rechub  # type: ignore[import-not-found]  # noqa: F401
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"{error.name} is missing: pip install --no-deps --target FOLDER torch-rechub, then PYTHONPATH=FOLDER"
        ) from error
    cells = rows_of(log)
    vectors = torch.from_numpy(encoder.encode(cells.strings))
    kind = (np.arange(len(cells.groups)) % 20)[cells.group]  # in every twenty groups two are tested and one is held out
    training, tuning, test = cells.where(kind > 2), cells.where(kind == 2), cells.where(kind < 2)
    seconds: dict[str, list[float]] = {"ours": [], "torch-rechub": []}
    scores: dict[str, Any] = {}
    for _ in range(PAIRS):
        for name, run in (("ours", _ours), ("torch-rechub", _rechub)):
            start = process_time()
            predict = run(training, tuning, vectors)
            seconds[name].append(process_time() - start)
            scores[name] = predict(test)
    rows = len(training) * EPOCHS
    speed = {name: rows / float(np.median(times)) for name, times in seconds.items()}
    ratios = np.array(seconds["torch-rechub"]) / np.array(seconds["ours"])
    setting = {"rows": len(training), "batch": BATCH, "passes": EPOCHS, "widths": DIMS}
    areas = [_more_area(test, rate, scores) for rate in ("CTR", "CTCVR")]
    ahead = Goal(
        "training rows a second, times torch-rechub's",
        float(np.median(ratios)),
        "at least",
        3,
        ratios.min(),
        ratios.max(),
    )
    return {**setting, "rows a second": speed, "AUC": {name: _areas(test, *both) for name, both in scores.items()}}, [
        *areas,
        ahead,
    ]


def _more_area(test: Cells, rate: str, scores: dict[str, Any]) -> Goal:
    """AUC less torch-rechub's, with its interval by story group."""
    assert test.conversions is not None
    number, successes = {"CTR": (0, test.clicks), "CTCVR": (1, test.conversions)}[rate]
    ours, theirs = scores["ours"][number], scores["torch-rechub"][number]
    rest = test.impressions - successes
    found = bootstrap(lambda w: auc(ours, w * successes, w * rest) - auc(theirs, w * successes, w * rest), test.group)
    return Goal(f"{rate} AUC, ours less torch-rechub's", found.value, "at least", 0, found.low, found.high)


def _areas(test: Cells, ctr: Any, ctcvr: Any) -> dict[str, float]:
    assert test.conversions is not None
    return {
        "ctr": auc(ctr, test.clicks, test.impressions - test.clicks),
        "ctcvr": auc(ctcvr, test.conversions, test.impressions - test.conversions),
    }


def _ours(training: Cells, tuning: Cells, vectors: torch.Tensor) -> Any:
    config = RewardConfig(
        surface=False,
        members=1,
        bootstrap=False,
        bottom=DIMS[:1],
        tower=DIMS[1:],
        dropout=0.0,
        weight_decay=1e-5,
        batch_cells=BATCH,
        epochs=EPOCHS,
        patience=EPOCHS,
    )
    members = train_ensemble(training, tuning, vectors, config)

    def predict(test: Cells) -> tuple[Any, Any]:
        click, both = member_logits(members, vectors, config, test.query, test.ad, test.text, test.position)
        return click[0], both[0]

    return predict


def _rechub(training: Cells, tuning: Cells, vectors: torch.Tensor) -> Any:
    """torch-rechub's own ESMM, trainer and data loader; the vectors are frozen tables of three sparse features."""
    from torch_rechub.basic.features import SparseFeature  # type: ignore[import-not-found]
    from torch_rechub.basic.initializers import Pretrained  # type: ignore[import-not-found]
    from torch_rechub.models.multi_task import ESMM  # type: ignore[import-not-found]
    from torch_rechub.trainers import MTLTrainer  # type: ignore[import-not-found]
    from torch_rechub.utils.data import DataGenerator  # type: ignore[import-not-found]

    torch.manual_seed(0)
    names = ("query", "ad", "text")
    table = Pretrained(vectors, freeze=True)
    features = [SparseFeature(name, len(vectors), vectors.shape[1], initializer=table) for name in names]
    tower = {"dims": list(DIMS), "activation": "relu", "dropout": 0.0}
    model = ESMM(features[:1], features[1:], dict(tower), dict(tower))

    def columns(cells: Cells) -> dict[str, Any]:
        return {name: getattr(cells, name) for name in names}

    def labels(cells: Cells) -> Any:
        assert cells.conversions is not None
        return np.stack([np.zeros(len(cells)), cells.clicks, cells.conversions], axis=1)

    held = columns(tuning), labels(tuning)
    loader, *_ = DataGenerator(columns(training), labels(training)).generate_dataloader(*held, *held, batch_size=BATCH)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = MTLTrainer(
            model,
            ["classification"] * 3,
            optimizer_params={"lr": 1e-3, "weight_decay": 1e-5},
            n_epoch=EPOCHS,
            model_path=scratch,
        )
        for _ in range(EPOCHS):
            trainer.train_one_epoch(loader)

    def predict(test: Cells) -> tuple[Any, Any]:
        model.eval()
        pieces = []
        with torch.no_grad():
            for start in range(0, len(test), 8192):
                part = {name: torch.from_numpy(values[start : start + 8192]) for name, values in columns(test).items()}
                pieces.append(model(part).numpy())
        found = np.concatenate(pieces)
        return found[:, 1], found[:, 2]

    return predict


def scoring_speed(stories: Stories, cache: Path) -> tuple[dict[str, float], list[Goal]]:
    """Distinct (query, ad, text) triples a second: cold, warm, and the encoder alone on the same distinct strings."""
    rng = np.random.default_rng(0)
    ads, queries = sorted(set(stories.ad)), sorted({query for queries in stories.queries for query in queries})
    chosen = rng.integers(0, [len(queries), len(ads), len(stories.text)], size=(4 * TRIPLES, 3))
    triples = list(dict.fromkeys(Triple(queries[query], ads[ad], stories.text[text]) for query, ad, text in chosen))[
        :TRIPLES
    ]
    strings = sorted({string for triple in triples for string in triple})
    encoder = SentenceEncoder()
    encoder.encode(strings[:64])
    start = process_time()
    encoder.encode(strings)
    raw = process_time() - start
    cached = _untrained(ShapedEncoder.fit(CachedEncoder(encoder, cache), stories.text))
    seconds = []
    for _ in range(2):
        start = process_time()
        cached.score(triples)
        seconds.append(process_time() - start)
    cold, warm = seconds
    figures = {
        "triples": len(triples),
        "distinct strings": len(strings),
        "raw encoder strings/s": len(strings) / raw,
        "cold strings/s": len(strings) / cold,
        "warm triples/s": len(triples) / warm,
    }
    goals = [
        Goal("scoring with a cold cache, share of the raw encoder's speed", raw / cold, "at least", 0.9),
        Goal("a warm repeat, times the cold one's speed", cold / warm, "at least", 20),
    ]
    return figures, goals


def _untrained(encoder: Encoder) -> RewardModel:
    """Members of the usual size and number; what they learned does not matter to their speed."""
    config = RewardConfig()
    calibration = {"ctr": (1.0, 0.0), "ctcvr": (1.0, 0.0)}
    version = RewardModelVersion(
        version="untrained",
        encoder=encoder.name,
        target="ctcvr",
        data="",
        config=as_mapping(config),
        calibration=calibration,
        created_at=datetime.now(UTC),
    )
    members = tuple(SharedBottom(encoder.dim, config).eval() for _ in range(config.members))
    return RewardModel(version, encoder, members, Novelty(np.zeros(encoder.dim), np.eye(encoder.dim)))
