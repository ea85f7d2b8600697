"""One training job at a time per GPU, or per host without one: a file lock for each device, which ends with its holder
however that ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

_AGAIN_S = 1.0
ALL = "all"


def devices_of(setting: str) -> list[str]:
    """`0,1` as ["0", "1"]; an empty setting is the whole host."""
    return sorted({name.strip() for name in setting.split(",") if name.strip()}) or [ALL]


@asynccontextmanager
async def holding(data_dir: Path, devices: Sequence[str]) -> AsyncIterator[None]:
    """Wait until no other worker of this host trains on any of the devices, and keep them for this block."""
    folder = data_dir / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        with ExitStack() as held:
            if all(_take(held, folder / f"training-{socket.gethostname()}-{device}.lock") for device in devices):
                yield
                return
        await asyncio.sleep(_AGAIN_S)


def _take(held: ExitStack, path: Path) -> bool:
    """Lock a file until the stack is closed; whether nobody else had it."""
    file = held.enter_context(path.open("a"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
