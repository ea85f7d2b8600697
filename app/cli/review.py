"""`relate review`: what waits for a reviewer, and the decisions as examples for a judge, over the API of a running
service.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.client import URL, KeyOption, Service, UrlOption

review = typer.Typer(no_args_is_help=True, help="Show what waits for a reviewer, export the decisions.")


@review.command()
def queue(
    language: Annotated[str | None, typer.Option(help="en, zh or ja; default: all.")] = None,
    product: Annotated[str | None, typer.Option(help="A product class, such as health_food; default: all.")] = None,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Show the texts that have waited longest. The page Review decides about them."""
    from rich.console import Console
    from rich.table import Table

    table = Table("text", "title", "locale", "advertiser", "waits for", "since", box=None)
    for text in Service(url, key, "review").get("/review/queue", language=language, product=product)["texts"]:
        table.add_row(
            text["id"],
            text["title"],
            text["locale"],
            text["advertiser"],
            "second opinion" if text["second_opinion"] else ", ".join(text["held_for"]),
            text["since"][:16].replace("T", " "),
        )
    Console().print(table)


@review.command()
def export(
    out: Annotated[Path, typer.Argument(help="A new file, one JSON object per line.")],
    since: Annotated[str | None, typer.Option(help="RFC 3339 with offset: decisions made from then on.")] = None,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Write every decision that stands, with its brief and text, as examples to train a judge on."""
    lines = 0
    with out.open("x", encoding="utf-8") as file:
        for line in Service(url, key, "review").lines("/review/decisions", since=since):
            file.write(line + "\n")
            lines += 1
    print(f"{out}: {lines:,} decisions")
