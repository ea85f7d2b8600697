"""Plots as Plotly documents: plain dictionaries. Their colours are CSS variables of the page, such as `var(--accent)`,
so that they follow the light and the dark theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from math import ceil
from typing import Any, Protocol

from app.pages.formats import change, rate

Figure = dict[str, Any]
ACCENT, WASH, SOFT, LINE = "var(--accent)", "var(--accent-wash)", "var(--soft)", "var(--line)"
_HEADROOM = 1.15
_DAY_MS = 86_400_000
_WIDEST = 2.0  # ±200 %: a wider axis would flatten the other intervals


class LiftPoint(Protocol):
    @property
    def value(self) -> float | None: ...

    @property
    def low(self) -> float | None: ...

    @property
    def high(self) -> float | None: ...


def lift_over_time(days: Sequence[date], points: Sequence[LiftPoint]) -> Figure:
    """Cumulative ΔCTCVR with its always-valid band."""
    banded = [
        (day, point)
        for day, point in zip(days, points, strict=True)
        if point.low is not None and point.high is not None
    ]
    edge = {
        "type": "scatter",
        "mode": "lines",
        "x": [str(day) for day, _ in banded],
        "line": {"width": 0, "color": ACCENT},
    }
    quiet = {"hoverinfo": "skip", "showlegend": False}
    data = [
        {**edge, **quiet, "y": [point.low for _, point in banded]},
        {**edge, **quiet, "y": [point.high for _, point in banded], "fill": "tonexty", "fillcolor": WASH},
        {
            "type": "scatter",
            "mode": "lines",
            "x": [str(day) for day in days],
            "y": [point.value for point in points],
            "line": {"color": ACCENT, "width": 2.5},
            "text": [_label(point) for point in points],
            "hovertemplate": "%{x|%b %d}: %{text}<extra></extra>",
        },
    ]
    return {"data": data, "layout": _layout(points)}


def lift_by_first_day(days: Sequence[date], points: Sequence[LiftPoint]) -> Figure:
    """ΔCTCVR of the units first shown the experiment on each day: a novelty effect fades over the days."""
    errors = {
        "type": "data",
        "symmetric": False,
        "color": SOFT,
        "thickness": 1.5,
        "width": 0,
        "array": [_distance(point.high, point.value) for point in points],
        "arrayminus": [_distance(point.value, point.low) for point in points],
    }
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [str(day) for day in days],
            "y": [point.value for point in points],
            "error_y": errors,
            "marker": {"color": ACCENT, "size": 7},
            "text": [_label(point) for point in points],
            "hovertemplate": "first shown %{x|%b %d}: %{text}<extra></extra>",
        }
    ]
    return {"data": data, "layout": _layout(points)}


def power_curve(days: Sequence[int], powers: Sequence[float], *, wanted: float, reached_on: int) -> Figure:
    """The power by days of running. The wanted power and the day on which it is reached are marked."""
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": list(days),
            "y": list(powers),
            "line": {"color": ACCENT, "width": 2.5},
            "text": [rate(power) for power in powers],
            "hovertemplate": "day %{x}: %{text}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": [reached_on],
            "y": [wanted],
            "marker": {"color": ACCENT, "size": 9},
            "hoverinfo": "skip",
        },
    ]
    guide = {"type": "line", "line": {"color": SOFT, "width": 1, "dash": "dot"}}
    layout = _frame() | {
        "xaxis": _axis() | {"title": {"text": "days"}, "range": [0, max(days)]},
        "yaxis": _axis() | {"tickformat": ".0%", "range": [0, 1.02], "title": {"text": "power"}},
        "shapes": [guide | {"xref": "paper", "x0": 0, "x1": 1, "y0": wanted, "y1": wanted}],
    }
    return {"data": data, "layout": layout}


def over_steps(steps: Sequence[int], values: Sequence[float | None]) -> Figure:
    """A line plot of one logged value over the steps of a training run."""
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": list(steps),
            "y": list(values),
            "line": {"color": ACCENT, "width": 2},
            "hovertemplate": "step %{x}: %{y:.3f}<extra></extra>",
        }
    ]
    layout = _frame() | {"height": 180, "xaxis": _axis() | {"title": {"text": "step"}}, "yaxis": _axis()}
    return {"data": data, "layout": layout}


def _label(point: LiftPoint) -> str:
    return (
        change(point.value)
        if point.low is None or point.high is None
        else f"{change(point.value)} ({change(point.low)} to {change(point.high)})"
    )


def _distance(upper: float | None, lower: float | None) -> float | None:
    return None if upper is None or lower is None else upper - lower


def _layout(points: Sequence[LiftPoint]) -> Figure:
    """The axis shows zero and the intervals of the later half of the days: those of the first days are so wide that
    they would flatten all others.
    """
    later = points[len(points) // 2 :]
    edges = [abs(edge) for point in later for edge in (point.value, point.low, point.high) if edge is not None]
    reach = min(max(edges, default=0.1) * _HEADROOM, _WIDEST)
    zero = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0, "line": {"color": SOFT, "width": 1}}
    return _frame() | {
        "xaxis": _axis() | {"type": "date", "tickformat": "%b %d", "dtick": ceil(len(points) / 6) * _DAY_MS},
        "yaxis": _axis() | {"tickformat": "+.0%", "range": [-reach, reach]},
        "shapes": [zero],
    }


def _frame() -> Figure:
    return {
        "height": 260,
        "margin": {"l": 56, "r": 12, "t": 8, "b": 40},
        "showlegend": False,
        "hovermode": "closest",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": SOFT, "size": 12},
        "hoverlabel": {
            "bgcolor": "var(--raised)",
            "bordercolor": "var(--line-strong)",
            "font": {"color": "var(--ink)"},
        },
    }


def _axis() -> Figure:
    return {
        "gridcolor": LINE,
        "linecolor": LINE,
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
        "nticks": 6,
    }
