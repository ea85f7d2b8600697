"""One running service per data directory, by a file lock that is released when the process ends in any way."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.up.child import UpError


@contextmanager
def holding(data_dir: Path) -> Iterator[None]:
    """Create the directory where needed and lock it. Raises UpError when another process holds the lock."""
    path = data_dir / "lock"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+")
    except OSError as error:
        raise UpError(
            f"{data_dir} cannot be written ({error.strerror}): choose another directory with --data-dir"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text().strip() or "another"
            raise UpError(
                f"{data_dir} is in use by process {holder}: stop it, or choose another directory with --data-dir"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
