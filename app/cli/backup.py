"""`relate backup` and `relate restore`: one file holds the database, the secrets, the keys and the models trained
here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def backup(
    file: Annotated[
        Path, typer.Argument(help="The tar to write; an older one of that name is replaced when the new one is whole.")
    ],
) -> None:
    """Write a backup while the service runs. It holds secrets: only its owner can read it, keep it so."""
    from app.core.settings import Settings
    from app.up.backup import backup as write

    write(Settings(), file)
    print(f"{file}: {file.stat().st_size:,} bytes")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `relate backup` wrote.", exists=True, dir_okay=False)],
    force: Annotated[
        bool, typer.Option("--force", help="Set an existing data directory aside as <name>.before-restore.")
    ] = False,
) -> None:
    """Restore a backup into RELATE_DATA_DIR, and into DATABASE_URL when that is set. `relate up` or `relate migrate`
    comes next.
    """
    from app.core.settings import Settings
    from app.up.backup import restore as put_back

    put_back(Settings(), file, force=force)
    print(f"{Settings().data_dir} is as it was: start it with `relate up`")
