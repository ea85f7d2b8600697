"""Fit the simulated users' taste on the taste half of the headline tests and write taste.json.

python -m benchmarks.market.fit_taste --data DIR          # holds packages.csv.gz
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.headline_model import fit_weights, read_packages, surface
from benchmarks.market import in_taste_half
from benchmarks.market.taste import Taste, hashed_words
from trainer.reward_model.embed import SentenceEncoder

SCALES = {"embedding": 0.08, "words": 0.012, "surface": 0.01}  # prior SD of a weight of log CTR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    packages = read_packages(parser.parse_args().data)
    chosen = np.array([in_taste_half(name) for name in packages.group_names])[packages.group]
    half = packages.where(chosen & ~packages.risky)
    shape = surface(half.headline)
    mean, spread = shape.mean(axis=0), shape.std(axis=0) + 1e-9
    encoder = SentenceEncoder()
    blocks = {
        "embedding": encoder.encode(half.headline).astype(float),
        "words": hashed_words(half.headline),
        "surface": (shape - mean) / spread,
    }
    weights = fit_weights(blocks, half, SCALES)
    taste = Taste(encoder, weights["embedding"], weights["words"], weights["surface"], mean, spread)
    liked = taste.raw(half.headline)
    replace(taste, centre=float(liked.mean()), spread=float(liked.std())).save()
    for kind in SCALES:
        print(f"SD of log CTR by {kind}: {(blocks[kind] @ weights[kind]).std():.3f}")
    print(
        f"{len(half.headline):,} packages of {len(np.unique(half.group)):,} story groups; SD of log CTR "
        f"{liked.std():.3f}"
    )


if __name__ == "__main__":
    main()
