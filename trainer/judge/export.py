"""scikit-learn's boosted trees → the arrays that the service evaluates without scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainer.bootstrap import FloatArray
from trainer.scoring.trees import Trees


def trees_of(model: Any, row: FloatArray) -> Trees:
    """The trees of a fitted GradientBoostingClassifier of two classes; `row` [1, features] fixes the constant."""
    columns: dict[str, list[Any]] = {name: [] for name in ("feature", "threshold", "left", "right", "value")}
    roots, size = [], 0
    for grown in (estimator.tree_ for estimator in model.estimators_[:, 0]):
        places = np.arange(grown.node_count)
        leaf = grown.children_left < 0
        columns["feature"].append(np.where(leaf, 0, grown.feature))
        columns["threshold"].append(grown.threshold)
        columns["left"].append(np.where(leaf, places, grown.children_left) + size)
        columns["right"].append(np.where(leaf, places, grown.children_right) + size)
        columns["value"].append(model.learning_rate * grown.value[:, 0, 0])
        roots.append(size)
        size += grown.node_count
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    trees = Trees(
        feature=whole["feature"].astype(np.int16),
        threshold=whole["threshold"].astype(np.float64),
        left=whole["left"].astype(np.int32),
        right=whole["right"].astype(np.int32),
        value=whole["value"].astype(np.float32),
        roots=np.array(roots, dtype=np.int32),
        depth=int(model.max_depth),
        start=0.0,
    )
    start = float(model.decision_function(row)[0] - trees(row)[0])
    return Trees(**{**trees.__dict__, "start": start})
