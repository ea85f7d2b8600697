"""Training curves of run folders, and Figure 3: how each reward moves while the policy trains (RELATE §4.4.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from trainer.durable import whole_lines

Curve = Mapping[str, Any]  # one line of curves.jsonl
QUALITIES = {
    "structure": "structural quality",
    "ctcvr": "CTCVR reward",
    "diversity": "diversity",
    "semantics": "semantic quality",
}
_PARTS = {"structure": ("length", "format"), "semantics": ("relevance", "correctness", "risk")}  # RELATE §4.4.1


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file; ValueError where there is none, or an unreadable one."""
    try:
        if not file.is_file():
            raise FileNotFoundError("there is no such file")
        found = [json.loads(line) for line in whole_lines(file)]
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{file} cannot be read ({error}): name the folder of a run, as relate train grpo --out made it"
        ) from error
    if not found:
        raise ValueError(f"{file} holds no step yet: wait for the run's first")
    return found


def quality(curve: Curve, name: str) -> float | None:
    """One of Figure 3's four at one step; None where the run had no such reward."""
    parts = [curve["rewards"].get(part) for part in _PARTS.get(name, (name,))]
    known = [part for part in parts if part is not None]
    return fmean(known) if known else None


def figure_3(runs: Mapping[str, Sequence[Sequence[Curve]]]) -> go.Figure:
    """Four panels, one line per configuration: the mean over its seeds, inside a band from the lowest to the highest of
    them.
    """
    figure = make_subplots(
        rows=2, cols=2, subplot_titles=list(QUALITIES.values()), shared_xaxes=True, vertical_spacing=0.1
    )
    colours = dict(zip(runs, ("#1f77b4", "#e3a008", "#2ca02c", "#d62728", "#7e3ff2", "#555555"), strict=False))
    for panel, name in enumerate(QUALITIES):
        place = {"row": panel // 2 + 1, "col": panel % 2 + 1}
        for run, seeds in runs.items():
            steps = [curve["step"] for curve in min(seeds, key=len)]
            by_step = [
                [value for seed in seeds if (value := quality(seed[at], name)) is not None] for at in range(len(steps))
            ]
            if not all(by_step):
                continue
            if len(seeds) > 1:
                band = [*map(max, by_step), *reversed([*map(min, by_step)])]
                figure.add_scatter(
                    x=[*steps, *reversed(steps)],
                    y=band,
                    fill="toself",
                    line={"width": 0},
                    mode="lines",
                    hoverinfo="skip",
                    fillcolor=f"rgba({_rgb(colours[run])},0.12)",
                    showlegend=False,
                    legendgroup=run,
                    **place,
                )
            figure.add_scatter(
                x=steps,
                y=[fmean(values) for values in by_step],
                mode="lines",
                name=run,
                legendgroup=run,
                showlegend=panel == 0,
                line={"color": colours[run], "width": 2},
                **place,
            )
    figure.update_xaxes(title_text="step", row=2)
    figure.update_layout(height=640, margin={"t": 40}, legend={"orientation": "h", "y": -0.12})
    return figure


def _rgb(colour: str) -> str:
    return ",".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))


def lines(curves: Sequence[Curve], names: Mapping[str, str], columns: int = 3) -> go.Figure:
    """One small panel for each value of a run that changes with the steps; values that the run does not have are left
    out.
    """
    shown = {name: label for name, label in names.items() if any(_value(curve, name) is not None for curve in curves)}
    rows = -(-len(shown) // columns)
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=list(shown.values()), vertical_spacing=0.25 / rows)
    for at, name in enumerate(shown):
        figure.add_scatter(
            x=[curve["step"] for curve in curves],
            y=[_value(curve, name) for curve in curves],
            mode="lines",
            row=at // columns + 1,
            col=at % columns + 1,
            showlegend=False,
            line={"color": "#1f77b4"},
        )
    figure.update_layout(height=190 * rows + 40, margin={"t": 40})
    return figure


def _value(curve: Curve, name: str) -> float | None:
    """`rewards.risk` reaches inside a mapping."""
    value: Any = curve
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return None if value is None else float(value)
