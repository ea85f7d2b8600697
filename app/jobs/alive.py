"""Whether a host's worker still works: its event loop touches a file, which a container's health check reads."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from app.core.settings import Settings
from app.runtime.periodic import Periodic

INTERVAL_S = 5.0
SILENT_S = 30.0  # a worker that has not touched its file for longer hangs


class Alive:
    """Touches the file every few seconds, and deletes it when the worker stops."""

    def __init__(self, settings: Settings) -> None:
        self._file = file_of(settings)
        self._periodic = Periodic("the sign of life", INTERVAL_S, self.touch)

    async def start(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        await self.touch()
        self._periodic.start()

    async def stop(self) -> None:
        self._periodic.wake()
        await self._periodic.stop()
        self._file.unlink(missing_ok=True)

    async def touch(self) -> None:
        self._file.touch()


def file_of(settings: Settings) -> Path:
    """One per host: workers of several hosts may share a data directory."""
    return settings.data_dir / f"worker-{socket.gethostname()}.alive"


def works(settings: Settings) -> bool:
    """Whether the worker of this host runs and does not hang."""
    try:
        return time.time() - file_of(settings).stat().st_mtime < SILENT_S
    except FileNotFoundError:
        return False
