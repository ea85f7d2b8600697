"""Prints a served ad on a terminal."""

from __future__ import annotations

from typing import Any

from rich.panel import Panel
from rich.text import Text


def ad_card(answer: dict[str, Any]) -> Panel:
    """Print the answer of `POST /generate` as its reader sees it, with its source below."""
    shown = Text()
    for text in answer["texts"]:
        lines = [text["description"], text["description_2"]]
        shown.append(text["title"] + "\n", style="bold blue")
        shown.append("\n".join(line for line in lines if line) + "\n")
        shown.append(f"{text['source']}, written by {text['policy']}\n", style="dim")
    if not answer["texts"]:
        shown.append("no ad: ", style="bold")
    remarks = [answer["reason"], answer["note"], answer["arm"] and f"{answer['experiment']}, arm {answer['arm']}"]
    shown.append(" · ".join(remark for remark in remarks if remark), style="dim")
    shown.rstrip()
    return Panel(shown, title="ad", title_align="left", width=100, expand=False)
