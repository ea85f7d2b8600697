"""One run: snapshot → cells → split → embeddings → ensemble → calibration → a version with its metrics; and the
metrics again, later.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from trainer.bootstrap import bootstrap
from trainer.config import RewardConfig
from trainer.registry import RewardModelVersion, new_version
from trainer.reward_model.calibrate import Calibration, fit_calibration
from trainer.reward_model.dataset import Cells, Split, half, read_cells, refuse_shared_groups, require_enough, split
from trainer.reward_model.encoders import make_encoder
from trainer.reward_model.metrics import auc, calibration_error, log_loss, within_brief_auc
from trainer.reward_model.model import SharedBottom
from trainer.reward_model.novelty import Novelty
from trainer.reward_model.score import RewardModel, as_mapping, member_logits
from trainer.reward_model.surface import ShapedEncoder
from trainer.reward_model.train import Watch, train_ensemble
from trainer.snapshot import read_snapshot


def train_reward_model(
    snapshot: Path, config: RewardConfig, artifacts: Path, *, watch: Watch | None = None, cache: Path | None = None
) -> RewardModel:
    """Train on a snapshot and save the version under artifacts/<version>; a killed run resumes from
    artifacts/<version>.training.

    Errors: SnapshotError for data that cannot be true, ConfigError for a checkpoint of another run, ValueError when
    nothing was learned.
    """
    read = read_snapshot(snapshot)
    digest = read.manifest.digest
    name = new_version("reward", {"config": as_mapping(config), "data": digest}, read.manifest.as_of.date())
    cells = half(read_cells(read), config.half)
    folder = artifacts / name
    model = fit(
        cells,
        config,
        name=name,
        data=digest,
        watch=watch,
        cache=cache,
        checkpoints=folder.with_name(f"{name}.training"),
    )
    model.save(folder)
    return model


def fit(
    cells: Cells,
    config: RewardConfig,
    *,
    name: str = "unsaved",
    data: str = "",
    watch: Watch | None = None,
    cache: Path | None = None,
    checkpoints: Path | None = None,
) -> RewardModel:
    """Train, calibrate and measure on cells."""
    parts = split(cells, config)
    require_enough(parts, config)
    refuse_shared_groups(parts.training, parts.tested)
    encoder = make_encoder(config.encoder, lambda: strings_of(parts.training), cache)
    if config.surface:
        encoder = ShapedEncoder.fit(encoder, [cells.strings[number] for number in np.unique(parts.training.text)])
    vectors = torch.from_numpy(encoder.encode(cells.strings))
    run = f"{data} {encoder.name}"
    members = tuple(
        train_ensemble(parts.training, parts.tuning, vectors, config, watch=watch, checkpoints=checkpoints, run=run)
    )
    target = "ctr" if cells.conversions is None else "ctcvr"
    version = RewardModelVersion(
        version=name,
        encoder=encoder.name,
        target=target,
        data=data,
        config=as_mapping(config),
        created_at=datetime.now(UTC),
        calibration=_calibrations(members, vectors, config, parts),
    )
    model = RewardModel(version, encoder, members, _novelty(members, vectors, config, parts.training))
    return replace(model, version=replace(version, metrics=evaluate(model, parts.tested)))


def strings_of(cells: Cells) -> list[str]:
    """The distinct strings that these cells use."""
    return [cells.strings[number] for number in np.unique(np.concatenate([cells.query, cells.ad, cells.text]))]


def _calibrations(
    members: tuple[SharedBottom, ...], vectors: torch.Tensor, config: RewardConfig, parts: Split
) -> dict[str, tuple[float, float]]:
    tuning = parts.tuning
    click, both = member_logits(members, vectors, config, tuning.query, tuning.ad, tuning.text, tuning.position)
    fitted: dict[str, Calibration] = {"ctr": fit_calibration(click.mean(axis=0), tuning.clicks, tuning.impressions)}
    if tuning.conversions is not None:
        fitted["ctcvr"] = fit_calibration(both.mean(axis=0), tuning.conversions, tuning.impressions)
    return {rate: (calibration.slope, calibration.shift) for rate, calibration in fitted.items()}


def _novelty(
    members: tuple[SharedBottom, ...], vectors: torch.Tensor, config: RewardConfig, training: Cells
) -> Novelty:
    """Of the training texts; the prior's spread is that of the predicted logits at the first place."""
    successes = training.clicks if training.conversions is None else training.conversions
    rate = successes.sum() / training.impressions.sum()
    texts, inverse = np.unique(training.text, return_inverse=True)
    information = np.bincount(inverse, weights=training.impressions) * rate * (1 - rate)
    at_first = np.zeros_like(training.position)
    logits = member_logits(members, vectors, config, training.query, training.ad, training.text, at_first)
    spread = float(logits[training.conversions is not None].mean(axis=0).std())
    return Novelty.fit(vectors.numpy()[texts], information, spread)


def unseen_cells(model: RewardModel, snapshot: Path) -> Cells:
    """Of any snapshot, the groups that neither training nor tuning of this model could see: the split goes by a hash
    of their names.
    """
    config = model.config
    return split(half(read_cells(read_snapshot(snapshot)), config.half), config).tested


def evaluate(model: RewardModel, cells: Cells) -> dict[str, float]:
    """AUC with its interval by group, log-loss, calibration error (also as a share of the base rate) and order inside
    a brief, per rate.
    """
    scores = model.score_cells(cells)
    rates = {"ctr": (scores.ctr, cells.clicks)}
    if cells.conversions is not None:
        rates["ctcvr"] = (scores.ctcvr, cells.conversions)
    found: dict[str, float] = {
        "groups": float(len(np.unique(cells.group))),
        "impressions": float(cells.impressions.sum()),
    }
    for rate, (p, successes) in rates.items():
        trials, rest = cells.impressions, cells.impressions - successes
        brief = cells.brief
        area = bootstrap(lambda w, p=p, s=successes, r=rest: auc(p, w * s, w * r), cells.group)  # type: ignore[misc]
        inside = bootstrap(
            lambda w, p=p, s=successes, r=rest, b=brief: within_brief_auc(p, w * s, w * r, b),  # type: ignore[misc]
            cells.group,
        )
        error, base = calibration_error(p, successes, trials), float(successes.sum() / trials.sum())
        values = {
            "base_rate": base,
            "auc": area.value,
            "auc_low": area.low,
            "auc_high": area.high,
            "within_brief": inside.value,
            "within_brief_low": inside.low,
            "within_brief_high": inside.high,
            "log_loss": log_loss(p, successes, trials),
            "calibration_error": error,
            "calibration_error_of_base": error / base if base else float("nan"),
        }
        found |= {f"{rate}_{key}": value for key, value in values.items()}
    return found
