"""One API key per role, created at the first start and stored in a file that only its owner can read."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from app.core.api_keys import SCOPES
from app.core.settings import Settings
from app.services.admin.keys import create, listed
from app.store.database import Database
from trainer.durable import write_text

_PREFIX = len("rk_") + 8
_MOST = 100_000


def file_of(data_dir: Path) -> Path:
    return data_dir / "keys.json"


def role_keys(settings: Settings) -> tuple[dict[str, str], bool]:
    """The keys by scope, and whether any was created by this call: only then they may be shown.

    A key that is unknown to the database (another or an emptied one) is created again. A revoked key stays revoked.
    """
    path = file_of(settings.data_dir)
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    keys = asyncio.run(_complete(settings, kept))
    if keys == kept:
        return keys, False
    write_text(path, json.dumps(keys, indent=1), private=True)
    return keys, True


async def _complete(settings: Settings, kept: dict[str, str]) -> dict[str, str]:
    database = Database(settings)
    async with database.begin() as connection:
        known = {record.prefix for record in await listed(connection, limit=_MOST)}
        keys = {scope: key for scope, key in kept.items() if key[:_PREFIX] in known}
        for scope in SCOPES:
            if scope not in keys:
                keys[scope] = (await create(connection, name=f"first {scope}", scopes=[scope], actor="relate up")).key
    await database.close()
    return keys
