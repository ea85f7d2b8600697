"""Fit the simulated users' taste on the taste half of the headline tests and write taste.json.

python -m benchmarks.market.fit_taste --data DIR          # holds packages.csv.gz
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.headline_model import Packages, fit_weights, read_packages
from benchmarks.market import in_taste_half
from benchmarks.market.taste import Taste, UniversalSentenceEncoder, encoded

SCALE = 0.08  # prior SD of a weight of log CTR
SHUFFLED = 0.5  # clicks of a headline with its words shuffled, as a share of the headline's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    packages = read_packages(parser.parse_args().data)
    chosen = np.array([in_taste_half(name) for name in packages.group_names])[packages.group]
    half = packages.where(chosen & ~packages.risky)
    mixed = shuffled(half)
    encoder = UniversalSentenceEncoder()
    vectors = encoded(encoder, [*half.headline, *mixed.headline])
    weights = fit_weights({"embedding": vectors}, together(half, mixed), {"embedding": SCALE})["embedding"]
    liked, mixed_up = np.split(vectors @ weights, 2)
    replace(Taste(encoder, weights), centre=float(liked.mean()), spread=float(liked.std())).save()
    print(
        f"{len(half.headline):,} packages of {len(np.unique(half.group)):,} story groups; SD of log CTR "
        f"{liked.std():.3f}; shuffling takes {(liked - mixed_up).mean() / liked.std():.2f} SD on average"
    )


def shuffled(packages: Packages) -> Packages:
    """The same packages with their words in another order and fewer clicks."""
    rng = np.random.default_rng(0)
    mixed = tuple(" ".join(rng.permutation(headline.split())) for headline in packages.headline)
    return replace(packages, headline=mixed, clicks=packages.clicks * SHUFFLED)


def together(one: Packages, other: Packages) -> Packages:
    """Both, each test's packages in one test."""
    arrays = {
        name: np.concatenate([getattr(one, name), getattr(other, name)])
        for name in ("test", "picture", "group", "risky", "impressions", "clicks")
    }
    return replace(one, headline=(*one.headline, *other.headline), **arrays)


if __name__ == "__main__":
    main()
