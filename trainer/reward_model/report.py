"""The evaluation of a reward model as a page of its own: metrics, calibration plot, order of texts by how sure their
difference is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from rich.table import Table

from trainer.reward_model.dataset import Cells, FloatArray
from trainer.reward_model.metrics import Interval, calibration_table, competing_pairs, pair_accuracy
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
_STYLE = (
    "body{font:15px system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "td,th{padding:.2rem .8rem;text-align:right}th{font-weight:600}"
)


def summary(metrics: Mapping[str, float]) -> Table:
    """The metrics as a terminal shows them."""
    table = Table(
        "measure",
        "CTR",
        "CTCVR",
        box=None,
        title=f"{metrics['groups']:.0f} groups, {metrics['impressions']:,.0f} impressions",
    )
    for row in _rows(metrics):
        table.add_row(*row)
    return table


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
    plots = "".join(
        calibration_plot(name, calibration_table(p, successes, cells.impressions)).to_html(
            full_html=False, include_plotlyjs=number == 0
        )
        for number, (name, (p, successes)) in enumerate(rates.items())
    )
    measures = _html_table(("measure", "CTR", "CTCVR"), _rows(metrics))
    ranking = _html_table(
        ("pairs that differ at p <", "ordered rightly", "pairs"),
        [
            (f"{level:g}", str(accuracy) if count else "no pairs", f"{count:,}")
            for level, accuracy, count in ranking_table(cells, scores)
        ],
    )
    about = f"{metrics['groups']:.0f} advertisers or stories that neither training nor tuning saw, {metrics['impressions']:,.0f} impressions"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "<!doctype html><html lang=en><meta "
        f"charset=utf-8><title>{escape(model.version.version)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(model.version.version)}</h1><p>Encoder {escape(model.version.encoder)}; {about}.</p>"
        f"<h2>Measures</h2>{measures}<h2>Order inside a brief</h2>{ranking}<h2>Calibration</h2>{plots}</html>",
        encoding="utf-8",
    )
    return path


def calibration_plot(name: str, table: FloatArray) -> go.Figure:
    """Observed against predicted rate, in bins of equal impressions, with 95 % binomial bars around the observed."""
    n, predicted, observed = table.T
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


def _html_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = "".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th scope=col>{escape(head)}</th>' for head in heads)}</tr>{cells}</table>"
