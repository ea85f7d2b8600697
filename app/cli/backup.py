"""`relate backup` and `relate restore`: one file with the database, the secrets, the keys and the trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def backup(
    file: Annotated[
        Path, typer.Argument(help="The tar file to write. An existing file is replaced when the new one is complete.")
    ],
) -> None:
    """Write a backup while the service runs. It contains secrets: keep it readable only by its owner."""
    from app.core.settings import Settings
    from app.up.backup import backup as write

    write(Settings(), file)
    print(f"{file}: {file.stat().st_size:,} bytes")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `relate backup` wrote.", exists=True, dir_okay=False)],
    force: Annotated[
        bool, typer.Option("--force", help="Rename an existing data directory to <name>.before-restore.")
    ] = False,
) -> None:
    """Restore a backup into RELATE_DATA_DIR, and into DATABASE_URL where it is set. Then run `relate up` or `relate
    migrate`.
    """
    from app.core.settings import Settings
    from app.up.backup import restore as put_back

    put_back(Settings(), file, force=force)
    print(f"{Settings().data_dir} is as it was: start it with `relate up`")
