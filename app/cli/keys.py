"""`relate keys`: API keys, straight in the database; no service need run. Running replicas hear of every change at
once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.cli.errors import Refusal

if TYPE_CHECKING:
    from app.store.database import AsyncConnection

keys = typer.Typer(no_args_is_help=True, help="Make, list, rotate and revoke API keys.")

ACTOR = "relate keys"
T = TypeVar("T")


@keys.command()
def create(
    scope: Annotated[
        list[str], typer.Option(help="generate, events, report, review, ops or admin; repeat it for several.")
    ],
    name: Annotated[str, typer.Option(help="Who or what holds the key.")] = "made on the command line",
    advertiser: Annotated[
        str | None, typer.Option(help="The one advertiser whose ads, texts and events it may touch; default: all.")
    ] = None,
    expires: Annotated[int | None, typer.Option(help="Days until it ends; default: never.", min=1)] = None,
    rate: Annotated[float | None, typer.Option(help="Calls a second; default: the deployment's.", min=0.001)] = None,
) -> None:
    """Make a key and print it. This once only: the database keeps its digest."""
    from app.core.api_keys import SCOPES
    from app.services.admin.keys import create as make

    if unknown := sorted(set(scope) - set(SCOPES)):
        raise Refusal(f"there is no scope {unknown[0]!r}: choose from {', '.join(SCOPES)}")
    until = datetime.now(UTC) + timedelta(days=expires) if expires else None
    made = _in_database(
        lambda connection: make(
            connection,
            name=name,
            scopes=scope,
            advertiser=advertiser,
            rate_per_second=rate,
            expires_at=until,
            actor=ACTOR,
        )
    )
    print(made.key)


@keys.command("list")
def list_all() -> None:
    """Show every key but the keys themselves."""
    from rich.console import Console
    from rich.table import Table

    from app.services.admin.keys import listed

    table = Table("id", "name", "prefix", "scopes", "advertiser", "rate/s", "made", "ends", box=None)
    for key in _in_database(lambda connection: listed(connection, limit=100_000)):
        ends = (
            f"revoked {key.revoked_at:%Y-%m-%d}"
            if key.revoked_at
            else f"{key.expires_at:%Y-%m-%d}"
            if key.expires_at
            else "never"
        )
        rate = "default" if key.rate_per_second is None else f"{key.rate_per_second:g}"
        table.add_row(
            str(key.id), key.name, key.prefix, ", ".join(key.scopes), key.advertiser or "all", rate,
            f"{key.created_at:%Y-%m-%d}", ends,
        )  # fmt: skip
    Console().print(table)


@keys.command()
def rotate(
    key_id: Annotated[int, typer.Argument(help="The key's number, as `relate keys list` shows it.")],
    overlap: Annotated[int, typer.Option(help="Minutes for which the old key still works.", min=0)] = 60,
) -> None:
    """Print a new key with the old one's name, scopes, advertiser, rate and expiry."""
    from app.services.admin.keys import rotate as change

    made = _in_database(lambda connection: change(connection, key_id, overlap=timedelta(minutes=overlap), actor=ACTOR))
    print(made.key)


@keys.command()
def revoke(key_id: Annotated[int, typer.Argument(help="The key's number, as `relate keys list` shows it.")]) -> None:
    """End a key and its sessions now, for good."""
    from app.services.admin.keys import revoke as end

    ended = _in_database(lambda connection: end(connection, key_id, actor=ACTOR))
    print(f"{ended.prefix} ({ended.name}) is revoked")


@keys.command("rotate-token-key")
def rotate_token_key() -> None:
    """Seal new serving tokens with a new key; the one before still opens, the one before that no more.

    Wait an attribution window between two rotations, or tokens that are still out become worthless. Restart every
    replica afterwards.
    """
    from app.core.secrets import Secrets
    from app.core.settings import Settings

    path = Settings().secrets_path
    rotated = Secrets.load(path).rotated()
    rotated.save(path)
    print(
        f"token key {rotated.tokens[0][0]} seals from the next start on, key {rotated.tokens[1][0]} still opens: "
        "restart every replica"
    )


def _in_database(work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Do it in one transaction of the database in reach."""
    import asyncio

    from app.core.settings import Settings
    from app.store.database import Database
    from app.up.database import reachable

    async def transaction(database: Database) -> T:
        async with database.begin() as connection:
            done = await work(connection)
        await database.close()
        return done

    with reachable(Settings()) as settings:
        return asyncio.run(transaction(Database(settings)))
