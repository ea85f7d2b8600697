"""A job's log, as it is read."""

from __future__ import annotations

from pathlib import Path

from app.services.jobs.plans import folder_of

LOG = "log.txt"
_MOST_BYTES = 1 << 20


def log_of(data_dir: Path, job_id: object) -> Path:
    return folder_of(data_dir, job_id) / LOG


def tail(data_dir: Path, job_id: object, lines: int) -> str:
    """The last lines of a job's log; empty without one."""
    try:
        with log_of(data_dir, job_id).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _MOST_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "".join(text.splitlines(keepends=True)[-lines:])
