"""A report as a figure: the lifts on one axis, and the cumulative ΔCTCVR with its always-valid band."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from abtest.document import LiftAnswer, Report

# one per treatment, dark enough on white
COLORS = ("#0b6bcb", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#0e7490", "#be185d")


def report_figure(report: Report) -> go.Figure:
    """Left: each metric's change, fixed interval solid, always-valid dashed. Right: cumulative ΔCTCVR by day."""
    figure = make_subplots(
        1, 2, column_widths=[0.5, 0.5], subplot_titles=("Change against control", "ΔCTCVR, cumulative")
    )
    arms = [arm.arm for arm in report.arms[1:]]
    for color, arm in zip(COLORS, arms, strict=False):
        _intervals(figure, report, arm, color)
        _trend(figure, report, arm, color)
    reach = max(
        (abs(edge) for metric in report.metrics for edge in (metric.lift.low, metric.lift.high) if edge is not None),
        default=0.1,
    )
    figure.update_xaxes(
        tickformat="+.0%", range=[-1.1 * reach, 1.1 * reach], zeroline=True, zerolinewidth=2, row=1, col=1
    )
    figure.update_yaxes(tickformat="+.0%", zeroline=True, zerolinewidth=2, row=1, col=2)
    return figure.update_layout(title=report.headline, legend_orientation="h", template="plotly_white")


def _intervals(figure: go.Figure, report: Report, arm: str, color: str) -> None:
    metrics = [metric for metric in report.metrics if metric.arm == arm]
    labels = [f"{metric.metric.upper()} {arm}" for metric in metrics]
    for name, lifts, dash, width in (
        ("always valid", [metric.always_valid for metric in metrics], "dash", 2),
        ("fixed", [metric.lift for metric in metrics], "solid", 5),
    ):
        x, y = _segments(lifts, labels)
        line = {"color": color, "dash": dash, "width": width}
        figure.add_trace(
            go.Scatter(x=x, y=y, mode="lines", line=line, name=f"{arm}, {name}", legendgroup=arm), row=1, col=1
        )
    values = [metric.lift.value for metric in metrics]
    figure.add_trace(
        go.Scatter(x=values, y=labels, mode="markers", marker={"color": color, "size": 11}, showlegend=False),
        row=1,
        col=1,
    )


def _segments(lifts: list[LiftAnswer], labels: list[str]) -> tuple[list[float | None], list[str | None]]:
    """The ends of each interval as one line, with a gap after it."""
    x: list[float | None] = []
    y: list[str | None] = []
    for lift, label in zip(lifts, labels, strict=True):
        if lift.low is not None and lift.high is not None:
            x += [lift.low, lift.high, None]
            y += [label, label, None]
    return x, y


def _trend(figure: go.Figure, report: Report, arm: str, color: str) -> None:
    points = [point for point in report.daily if point.arm == arm and point.value is not None]
    days = [point.day for point in points]
    for edge, fill in (([point.high for point in points], None), ([point.low for point in points], "tonexty")):
        line = {"color": color, "dash": "dash", "width": 1}
        figure.add_trace(
            go.Scatter(x=days, y=edge, line=line, fill=fill, opacity=0.4, showlegend=False, legendgroup=arm),
            row=1,
            col=2,
        )
    line = {"color": color, "width": 3}
    figure.add_trace(
        go.Scatter(x=days, y=[point.value for point in points], line=line, showlegend=False, legendgroup=arm),
        row=1,
        col=2,
    )
