"""`relate texts`: withdraw a text, an advertiser or a policy on every replica, through the API of a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from app.cli.client import URL, KeyOption, Service, UrlOption
from app.cli.errors import Refusal

texts = typer.Typer(
    no_args_is_help=True,
    help="Withdraw texts, advertisers or policies from serving, restore them, and list the withdrawals.",
)


@texts.command()
def withdraw(
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")],
    text: Annotated[str | None, typer.Option(help="The id of a text, from the answer of /generate.")] = None,
    advertiser: Annotated[str | None, typer.Option(help="The name of an advertiser, as in its briefs.")] = None,
    policy: Annotated[str | None, typer.Option(help="A version, as `relate policies list` shows it.")] = None,
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Stop serving it within a second, on every replica. Prints the number for `relate texts restore`."""
    named = {"text": text, "advertiser": advertiser, "policy": policy}
    given = [(kind, subject) for kind, subject in named.items() if subject]
    if len(given) != 1:
        raise Refusal("name one thing to withdraw: --text, --advertiser or --policy")
    ((kind, subject),) = given
    row = Service(url, key, "ops").post("/withdrawals", {"kind": kind, "subject": subject, "reason": reason})
    print(f"{row['id']}: {kind} {row['subject']} is withdrawn")


@texts.command()
def restore(
    number: Annotated[int, typer.Argument(help="Its number, as `relate texts list` shows it.", min=1)],
    url: UrlOption = URL,
    key: KeyOption = "",
) -> None:
    """Restore a withdrawn text, advertiser or policy."""
    row = Service(url, key, "ops").delete(f"/withdrawals/{number}")
    print(f"{row['kind']} {row['subject']} is served again")


@texts.command("list")
def list_all(url: UrlOption = URL, key: KeyOption = "") -> None:
    """List all current withdrawals, newest first."""
    from rich.console import Console
    from rich.table import Table

    table = Table("number", "kind", "subject", "title", "reason", "by", "since", box=None)
    for row in _all(Service(url, key, "ops")):
        table.add_row(
            str(row["id"]),
            row["kind"],
            row["subject"],
            row["title"] or "",
            row["reason"],
            row["actor"],
            row["created_at"][:16].replace("T", " "),
        )
    Console().print(table)


def _all(service: Service) -> Iterator[dict[str, Any]]:
    before: int | None = None
    while True:
        page = service.get("/withdrawals", before=before)
        yield from page["withdrawals"]
        before = page["next"]
        if before is None:
            return
