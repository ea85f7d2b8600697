"""`relate keys`: API keys, directly in the database, without a running service. Running replicas are notified of every
change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.cli.errors import Refusal

if TYPE_CHECKING:
    from app.store.database import AsyncConnection

keys = typer.Typer(no_args_is_help=True, help="Create, list, rotate and revoke API keys.")

ACTOR = "relate keys"
T = TypeVar("T")


@keys.command()
def create(
    scope: Annotated[
        list[str], typer.Option(help="generate, events, report, review, ops or admin; repeat it for several.")
    ],
    name: Annotated[str, typer.Option(help="The person or system that holds the key.")] = "made on the command line",
    advertiser: Annotated[
        str | None,
        typer.Option(help="The only advertiser whose ads, texts and events the key may access. Default: all."),
    ] = None,
    expires: Annotated[int | None, typer.Option(help="Days until the key expires. Default: never.", min=1)] = None,
    rate: Annotated[
        float | None, typer.Option(help="Requests per second. Default: the rate in the settings.", min=0.001)
    ] = None,
) -> None:
    """Create a key and print it. It is shown only once: the database stores its digest."""
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
    """List all keys, without the keys themselves."""
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
    overlap: Annotated[int, typer.Option(help="Minutes for which the old key stays valid.", min=0)] = 60,
) -> None:
    """Create and print a new key with the name, scopes, advertiser, rate and expiry of the old one."""
    from app.services.admin.keys import rotate as change

    made = _in_database(lambda connection: change(connection, key_id, overlap=timedelta(minutes=overlap), actor=ACTOR))
    print(made.key)


@keys.command()
def revoke(key_id: Annotated[int, typer.Argument(help="The key's number, as `relate keys list` shows it.")]) -> None:
    """Revoke a key and its sessions at once. This cannot be undone."""
    from app.services.admin.keys import revoke as end

    ended = _in_database(lambda connection: end(connection, key_id, actor=ACTOR))
    print(f"{ended.prefix} ({ended.name}) is revoked")


@keys.command("rotate-token-key")
def rotate_token_key() -> None:
    """Seal new serving tokens with a new key. The previous key still opens tokens; older keys no longer do.

    Wait an attribution window between two rotations, because tokens of older keys are refused. Restart every replica
    afterwards.
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
    """Run the change in one transaction of the configured database."""
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
