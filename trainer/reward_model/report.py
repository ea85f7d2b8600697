"""The evaluation of a reward model as a page of its own: metrics, calibration plot, order of texts by how sure their
difference is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from rich.table import Table

from trainer.bootstrap import Interval
from trainer.page import heading, paragraph, plot, table, write_page
from trainer.reward_model.dataset import Cells, FloatArray
from trainer.reward_model.metrics import calibration_table, competing_pairs, pair_accuracy
from trainer.reward_model.score import RewardModel, Scores

LEVELS = (1.0, 0.05, 0.01, 0.001)  # a pair of texts counts when the p-value of its difference is below
_MEASURES = {
    "base_rate": "base rate",
    "auc": "AUC",
    "within_brief": "AUC inside a brief",
    "log_loss": "log-loss, nats",
    "calibration_error": "calibration error",
    "calibration_error_of_base": "of the base rate",
}


def summary(metrics: Mapping[str, float]) -> Table:
    """The metrics as a terminal shows them."""
    shown = Table(
        "measure",
        "CTR",
        "CTCVR",
        box=None,
        title=f"{metrics['groups']:.0f} groups, {metrics['impressions']:,.0f} impressions",
    )
    for row in _rows(metrics):
        shown.add_row(*row)
    return shown


def ranking_table(cells: Cells, scores: Scores) -> list[tuple[float, Interval, int]]:
    """(level, accuracy, pairs): texts of one brief and place whose click rates differ at that level, ordered by
    predicted CTR.
    """
    contest = np.unique(np.stack([cells.brief, cells.position]), axis=1, return_inverse=True)[1].reshape(-1)
    pairs = competing_pairs(contest, cells.group, cells.clicks, cells.impressions)
    found = []
    for level in LEVELS:
        accuracy, count = pair_accuracy(scores.ctr, pairs, level)
        found.append((level, accuracy, count))
    return found


def write_report(model: RewardModel, cells: Cells, metrics: Mapping[str, float], path: Path) -> Path:
    """Write one HTML file that needs no network."""
    scores = model.score_cells(cells)
    rates = {"CTR": (scores.ctr, cells.clicks)}
    if cells.conversions is not None:
        rates["CTCVR"] = (scores.ctcvr, cells.conversions)
    ranking = [
        (f"{level:g}", str(accuracy) if count else "no pairs", f"{count:,}")
        for level, accuracy, count in ranking_table(cells, scores)
    ]
    about = (
        f"Encoder {model.version.encoder}; {metrics['groups']:.0f} advertisers or stories that neither training nor "
        f"validation saw, {metrics['impressions']:,.0f} impressions."
    )
    return write_page(
        path,
        model.version.version,
        [
            paragraph(about),
            heading("Measures"),
            table(("measure", "CTR", "CTCVR"), _rows(metrics)),
            heading("Order inside a brief"),
            table(("pairs that differ at p <", "ordered rightly", "pairs"), ranking),
            heading("Calibration"),
            *(
                plot(calibration_plot(name, calibration_table(p, successes, cells.impressions)))
                for name, (p, successes) in rates.items()
            ),
        ],
    )


def calibration_plot(name: str, bins: FloatArray) -> go.Figure:
    """Observed against predicted rate, in bins of equal impressions, with 95 % binomial bars around the observed."""
    n, predicted, observed = bins.T
    bars = 1.96 * np.sqrt(observed * (1 - observed) / n)
    top = float(max(predicted.max(), (observed + bars).max()))
    figure = go.Figure(
        go.Scatter(x=[0, top], y=[0, top], mode="lines", name="right", line={"dash": "dot", "color": "gray"})
    )
    figure.add_scatter(x=predicted, y=observed, error_y={"array": bars}, mode="markers", name="observed")
    figure.update_layout(
        title=f"{name}, ten bins", xaxis_title="predicted", yaxis_title="observed", width=560, height=460
    )
    return figure


def _rows(metrics: Mapping[str, float]) -> list[tuple[str, ...]]:
    rows = []
    for key, name in _MEASURES.items():
        values = []
        for rate in ("ctr", "ctcvr"):
            value, low = metrics.get(f"{rate}_{key}"), metrics.get(f"{rate}_{key}_low")
            interval = "" if low is None else f" [{low:.4f}, {metrics[f'{rate}_{key}_high']:.4f}]"
            values.append(
                "–" if value is None else f"{value:.1%}" if key.endswith("of_base") else f"{value:.5f}{interval}"
            )
        rows.append((name, *values))
    return rows
