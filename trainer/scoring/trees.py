"""Boosted trees in numpy: what scikit-learn grows, evaluated without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trees:
    """An additive model: start + Σ over trees of the value of the leaf that a row falls into.

    All arrays are over the nodes of all trees, one tree after the other; a leaf points at itself.
    """

    feature: npt.NDArray[np.int16]
    threshold: FloatArray  # a row goes left where its feature ≤ threshold
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float32]
    roots: npt.NDArray[np.int32]  # [trees] place of each root
    depth: int
    start: float

    def __call__(self, rows: FloatArray) -> FloatArray:
        """[N, features] → [N] log-odds."""
        narrow = rows.astype(np.float32)  # scikit-learn compares in single precision
        node = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        for _ in range(self.depth):
            goes_left = np.take_along_axis(narrow, self.feature[node].astype(np.int64), axis=1) <= self.threshold[node]
            node = np.where(goes_left, self.left[node], self.right[node])
        total: FloatArray = self.start + self.value[node].sum(axis=1, dtype=np.float64)
        return total

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[np.generic]]:
        """For np.savez."""
        columns = {name: getattr(self, name) for name in ("feature", "threshold", "left", "right", "value", "roots")}
        columns |= {"depth": np.array(self.depth), "start": np.array(self.start)}
        return {f"{prefix}.{name}": column for name, column in columns.items()}

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[np.generic]], prefix: str) -> Trees:
        columns = {name.partition(".")[2]: arrays[name] for name in arrays if name.startswith(f"{prefix}.")}
        depth, start = int(columns.pop("depth")), float(columns.pop("start"))
        return cls(**columns, depth=depth, start=start)  # type: ignore[arg-type]
