"""Fit the simulated users' taste on the taste half of the headline tests and write taste.json.

python -m benchmarks.market.fit_taste --data DIR          # holds packages.csv.gz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.headline_model import fit_weights, read_packages, surface
from benchmarks.market import in_taste_half
from benchmarks.market.taste import Taste, hashed_words

SCALES = {"words": 0.02, "surface": 0.04}  # prior SD of a weight of log CTR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    packages = read_packages(parser.parse_args().data)
    chosen = np.array([in_taste_half(name) for name in packages.group_names])[packages.group]
    half = packages.where(chosen & ~packages.risky)
    shape = surface(half.headline)
    mean, spread = shape.mean(axis=0), shape.std(axis=0) + 1e-9
    weights = fit_weights({"words": hashed_words(half.headline), "surface": (shape - mean) / spread}, half, SCALES)
    taste = Taste(weights["words"], weights["surface"], mean, spread, 0.0, 1.0)
    liked = taste.raw(half.headline)
    Taste(weights["words"], weights["surface"], mean, spread, float(liked.mean()), float(liked.std())).save()
    print(f"{len(half.headline):,} packages of {len(np.unique(half.group)):,} story groups; SD of log CTR {liked.std():.3f}")


if __name__ == "__main__":
    main()
