"""The parts of a report: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

_STYLE = """
body{font:15px/1.45 system-ui;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem}p{max-width:60rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #e3e6ea;vertical-align:top}
th{font-weight:600}td:first-child,th:first-child{text-align:left}
small{color:#5b6470}.up{color:#116329}.down{color:#a40e26}
.text th{text-align:left}.text td{text-align:left;font-size:14px;white-space:pre-line}
mark{background:#ffd8d3}mark.n{background:#ffe9b8}
"""


class Html(str):
    """Markup that is already escaped."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str | Html]], *, kind: str = "") -> Html:
    """A table; plain strings are escaped."""
    head = "".join(f"<th scope=col>{_cell(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return Html(f'<table class="{kind}"><tr>{head}</tr>{body}</table>')


def paragraph(words: str) -> Html:
    return Html(f"<p>{escape(words)}</p>")


def heading(words: str) -> Html:
    return Html(f"<h2>{escape(words)}</h2>")


def plot(figure: go.Figure) -> Html:
    return Html(
        figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True})
    )


def write_page(path: Path, title: str, parts: Iterable[Html]) -> Path:
    """Write the parts under a title. The file contains Plotly's script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><script>{get_plotlyjs()}</script>"
        f"<h1>{escape(title)}</h1>"
        f"{''.join(parts)}</html>",
        encoding="utf-8",
    )
    return path


def _cell(value: str | Html) -> str:
    return value if isinstance(value, Html) else escape(value)
