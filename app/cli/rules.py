"""`relate rules` and `relate advertisers rules`: the rules in force, through the API of a running service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from app.cli.client import URL, KeyOption, Service, UrlOption
from app.cli.errors import Refusal
from app.cli.inputs import records

rules = typer.Typer(no_args_is_help=True, help="List, search and switch rules.")
advertisers = typer.Typer(no_args_is_help=True, help="An advertiser's own rules.")
own = typer.Typer(no_args_is_help=True, help="Show and set an advertiser's own rules, and list their versions.")
advertisers.add_typer(own, name="rules")

Name = Annotated[str, typer.Argument(help="The advertiser, spelt as in its briefs.")]


@rules.command("list")
def list_all(url: UrlOption = URL, key: KeyOption = "") -> None:
    """Show the packs with their sources, and every rule with its switch and what reviewers decided this week."""
    from rich.console import Console
    from rich.table import Table

    answer = Service(url, key, "report").get("/rules")
    packs = Table("pack", "version", "entries", "source", box=None)
    for pack in answer["packs"]:
        packs.add_row(pack["name"], pack["version"], str(pack["entries"]), pack["source"])
    table = Table("rule", "kind", "switch", "texts this week", "decided", "overruled", box=None)
    for rule in answer["rules"]:
        counts = (str(rule[name]) for name in ("texts", "decided", "overruled"))
        table.add_row(rule["rule"], rule["kind"], rule["switch"] or "", *counts)
    console = Console()
    console.print(packs)
    console.print(table)
    console.print(f"in force: {answer['rules_version']}")


@rules.command()
def show(
    words: Annotated[str, typer.Argument(help="A term, a rule, a law or its article.")],
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Show the entries of the packs that hold the words."""
    from rich.console import Console
    from rich.table import Table

    answer = Service(url, key, "report").get("/rules/entries", q=words)
    table = Table("term", "rule", "severity", "instead", "source", box=None)
    for entry in answer["entries"]:
        table.add_row(entry["term"], entry["rule"], entry["severity"], entry["suggestion"] or "", entry["source"])
    Console().print(table)
    if answer["found"] > len(answer["entries"]):
        print(f"{answer['found']} entries; the first {len(answer['entries'])} are listed")


@rules.command("set")
def set_switch(
    rule: Annotated[str, typer.Argument(help="A rule, as `relate rules list` shows it.")],
    switch: Annotated[str, typer.Argument(help="review, off, or pack: as its pack says.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")],
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Switch a rule to review or off, or back, on every replica within a second."""
    if switch not in ("review", "off", "pack"):
        raise Refusal(f"there is no switch {switch!r}: choose from review, off, pack")
    body = {"switch": None if switch == "pack" else switch, "reason": reason}
    answer = Service(url, key, "ops").put(f"/rules/{quote(rule, safe='')}", body)
    print(f"{answer['rule']}: {answer['switch'] or 'as its pack says'}")


@own.command("show")
def show_own(advertiser: Name, url: UrlOption = URL, key: KeyOption = "") -> None:
    """Print the rules in force as JSON, in the form that `set` reads."""
    answer = Service(url, key, "review").get(_path(advertiser))
    print(json.dumps(answer["rules"], ensure_ascii=False, indent=1))


@own.command("set")
def set_own(
    advertiser: Name,
    file: Annotated[Path, typer.Argument(help="The rules as JSON; - reads standard input.")],
    note: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Put the rules of a file in force in place of those that are."""
    (body, *more) = records(file)
    if more:
        raise Refusal(f"{file} holds {1 + len(more)} sets of rules: set takes one")
    answer = Service(url, key, "review").put(_path(advertiser), {**body, "note": note})
    print(f"{advertiser}: version {answer['version']} is in force")


@own.command()
def history(advertiser: Name, url: UrlOption = URL, key: KeyOption = "") -> None:
    """List the latest versions, newest first."""
    from rich.console import Console
    from rich.table import Table

    table = Table("version", "in force", "created", "by", "note", box=None)
    for row in Service(url, key, "review").get(f"{_path(advertiser)}/versions")["versions"]:
        state = "yes" if row["in_force"] and row["rules"] else "deleted" if row["rules"] is None else ""
        table.add_row(str(row["version"]), state, row["created_at"][:16], row["actor"], row["note"])
    Console().print(table)


def _path(advertiser: str) -> Any:
    return f"/advertisers/{quote(advertiser, safe='')}/rules"
