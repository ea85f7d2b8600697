"""Encoders by name: made for a training run, or loaded from a saved reward model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from trainer.config import RewardConfig
from trainer.reward_model.embed import CachedEncoder, Encoder, SentenceEncoder
from trainer.reward_model.hashed import HashedEncoder
from trainer.reward_model.surface import ShapedEncoder


def make_encoder(name: str, fit: Callable[[], Sequence[str]], cache: Path | None) -> Encoder:
    """`hashed` is fitted on the training strings; every other name is a sentence-transformers model, cached when a
    folder is given.
    """
    if name == "hashed":
        return HashedEncoder.fit(fit())
    encoder = SentenceEncoder(name)
    return CachedEncoder(encoder, cache) if cache else encoder


def load_encoder(folder: Path, config: RewardConfig, cache: Path | None) -> Encoder:
    """The encoder of a saved reward model. cache: where its vectors are kept."""
    encoder: Encoder
    if config.encoder == "hashed":
        encoder = HashedEncoder.load(folder / "encoder.npz")
    else:
        encoder = SentenceEncoder(config.encoder)
        encoder = CachedEncoder(encoder, cache) if cache else encoder
    return ShapedEncoder.load(encoder, folder / "surface.npz") if config.surface else encoder
